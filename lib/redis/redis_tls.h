/* TLS to Redis: which CAs are trusted, and the client's certificate. TLS 1.2 at least; the server's
 * certificate must be for the name or address that was connected to. One for all links. Loop
 * thread only. */
#ifndef TALLY_REDIS_REDIS_TLS_H
#define TALLY_REDIS_REDIS_TLS_H

#include "core/error.h"

#include <openssl/ssl.h>

struct redis_tls;

struct redis_tls_config {
    const char *ca_file;              /* PEM; NULL: the system's CAs; copied, as all that follow */
    const char *cert_file, *key_file; /* PEM; both NULL: without a client certificate */
    const char *server_name;          /* what the certificates must be for; NULL: the host */
};

/* Reads the files. NULL, with what is wrong in `error`. */
struct redis_tls *redis_tls_new(const struct redis_tls_config *config, struct error *error);
void redis_tls_free(struct redis_tls *tls);

/* One connection to `host`, ready for the handshake; the caller owns it. Reads the files again if
 * they have changed, so a renewed certificate is used from the next connection on. If they cannot
 * be read then, the earlier contents stay. NULL when out of memory. */
SSL *redis_tls_connection(struct redis_tls *tls, const char *host);

/* Why the connection failed, in words. `code` is the first error of OpenSSL's, 0 if it gave none:
 * then the other end closed it. */
void redis_tls_explain(const struct redis_tls *tls, const SSL *ssl, unsigned long code,
                       struct error *why);

#endif
