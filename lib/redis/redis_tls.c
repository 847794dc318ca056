/* One SSL_CTX holds what the files say. A connection that is open keeps the SSL_CTX it began with,
 * so a new one can replace it at any time. */
#include "redis/redis_tls.h"

#include "core/secret_file.h"
#include "daemon/log.h"
#include "daemon/names.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_MAX_BYTES 65536
#define FILES 3

/* Which contents of a file were read. */
struct version {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

struct redis_tls {
    char *file[FILES]; /* CA, certificate, key; NULL: none */
    char *server_name;
    struct version version[FILES];
    SSL_CTX *context;
};

enum { CA, CERT, KEY };
static const char *const options[FILES] = {"redis_ca_file", "redis_cert_file", "redis_key_file"};

/* --- the files --- */

static struct version version_of(const char *file)
{
    struct stat now;
    if (file == NULL || stat(file, &now) != 0)
        return (struct version){0};
    return (struct version){now.st_dev, now.st_ino, now.st_size, now.st_mtim};
}

static bool same(const struct version *a, const struct version *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* OpenSSL's words about the last failure, and its queue is empty afterwards. */
static const char *reason(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return words != NULL ? words : "it cannot be used";
}

static int bad_file(const struct redis_tls *tls, int which, const char *why, struct error *error)
{
    return error_set(error, "option %s: %s: %s", options[which], tls->file[which], why);
}

/* Never asks on the terminal. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int no_passphrase(char *out, int bytes, int writing, void *user)
{
    (void)out;
    (void)bytes;
    (void)writing;
    (void)user;
    return -1;
}

/* A secret: read as the other secrets are. */
static int use_key(const struct redis_tls *tls, SSL_CTX *context, struct error *error)
{
    struct error why;
    char *text = malloc(KEY_MAX_BYTES);
    if (text == NULL)
        return error_set(error, "no memory");
    ssize_t bytes = secret_file_read(tls->file[KEY], text, KEY_MAX_BYTES, &why);
    int rc = bytes < 0 ? error_set(error, "option redis_key_file: %s", why.text) : 0;
    if (rc == 0) {
        BIO *in = BIO_new_mem_buf(text, (int)bytes);
        EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
        if (key == NULL)
            rc = bad_file(tls, KEY, "it holds no PEM key without a passphrase", error);
        else if (SSL_CTX_use_PrivateKey(context, key) != 1)
            rc = bad_file(tls, KEY, "it is not the key of the certificate", error);
        EVP_PKEY_free(key);
        BIO_free(in);
    }
    explicit_bzero(text, KEY_MAX_BYTES);
    free(text);
    ERR_clear_error();
    return rc;
}

static int use_files(const struct redis_tls *tls, SSL_CTX *context, struct error *error)
{
    ERR_clear_error();
    if (tls->file[CA] == NULL && SSL_CTX_set_default_verify_paths(context) != 1)
        return error_set(error, "the system's CAs: %s", reason());
    if (tls->file[CA] != NULL && SSL_CTX_load_verify_locations(context, tls->file[CA], NULL) != 1)
        return bad_file(tls, CA, reason(), error);
    if (tls->file[CERT] == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, tls->file[CERT]) != 1)
        return bad_file(tls, CERT, reason(), error);
    return use_key(tls, context, error);
}

/* Replaces the context, unless a file is bad. */
static int load(struct redis_tls *tls, struct error *error)
{
    for (int i = 0; i < FILES; i++)
        tls->version[i] = version_of(tls->file[i]);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return error_set(error, "no memory");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF); /* answers say their length */
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        use_files(tls, context, error) != 0) {
        SSL_CTX_free(context);
        return -1;
    }
    SSL_CTX_free(tls->context);
    tls->context = context;
    return 0;
}

static void refresh(struct redis_tls *tls)
{
    struct error why;
    bool changed = false;
    for (int i = 0; i < FILES; i++) {
        struct version now = version_of(tls->file[i]);
        changed = changed || !same(&now, &tls->version[i]);
    }
    if (!changed)
        return;
    if (load(tls, &why) == 0)
        log_line(LOG_LEVEL_INFO, "TLS files for redis reloaded", NULL);
    else
        log_line(LOG_LEVEL_WARNING,
                 "cannot reload the TLS files for redis: keeping the earlier ones", "reason=%s",
                 why.text);
}

/* --- making it --- */

static int redis_tls_copy(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text != NULL && *to == NULL ? -1 : 0;
}

struct redis_tls *redis_tls_new(const struct redis_tls_config *config, struct error *error)
{
    struct redis_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL || redis_tls_copy(&tls->file[CA], config->ca_file) != 0 ||
        redis_tls_copy(&tls->file[CERT], config->cert_file) != 0 ||
        redis_tls_copy(&tls->file[KEY], config->key_file) != 0 ||
        redis_tls_copy(&tls->server_name, config->server_name) != 0) {
        redis_tls_free(tls);
        error_set(error, "no memory");
        return NULL;
    }
    if (load(tls, error) != 0) {
        redis_tls_free(tls);
        return NULL;
    }
    return tls;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    for (int i = 0; i < FILES; i++)
        free(tls->file[i]);
    free(tls->server_name);
    SSL_CTX_free(tls->context);
    free(tls);
}

/* --- a connection --- */

SSL *redis_tls_connection(struct redis_tls *tls, const char *host)
{
    const char *name = tls->server_name != NULL ? tls->server_name : host;
    refresh(tls);
    ERR_clear_error(); /* errors found in the queue later are this connection's */
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL)
        return NULL;
    X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* SNI is for names only. */
    int made = names_is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(verify, name)
                                      : X509_VERIFY_PARAM_set1_host(verify, name, 0) == 1 &&
                                            SSL_set_tlsext_host_name(ssl, name) == 1;
    if (made != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

/* --- why it failed --- */

static int explain_certificate(const struct redis_tls *tls, long verified, struct error *why)
{
    switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return error_write(why, "TLS: the server's certificate has expired");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return error_write(why, "TLS: the server's certificate is not valid yet");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return error_write(why, "TLS: the server's certificate is for another name or address");
    default:
        return error_write(why, "TLS: the server's certificate is not trusted with %s: %s",
                           tls->file[CA] != NULL ? "redis_ca_file" : "the system's CAs",
                           X509_verify_cert_error_string(verified));
    }
}

static void explain_end(const struct redis_tls *tls, const char *what, struct error *why)
{
    (void)error_write(why, "TLS: %s; %s", what,
                      tls->file[CERT] == NULL
                          ? "it may want a client certificate (redis_cert_file)"
                          : "it may not accept the client certificate of redis_cert_file");
}

void redis_tls_explain(const struct redis_tls *tls, const SSL *ssl, unsigned long code,
                       struct error *why)
{
    const char *words = ERR_reason_error_string(code);
    long verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) {
        (void)explain_certificate(tls, verified, why);
        return;
    }
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
        (void)error_write(why, "TLS: the server does not speak TLS on this port");
        break;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        (void)error_write(why, "TLS: the server wants a client certificate: give redis_cert_file "
                               "and redis_key_file");
        break;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        (void)error_write(why, "TLS: the server does not trust the CA of redis_cert_file");
        break;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        explain_end(tls, "the server ended the handshake", why);
        break;
    default:
        if (words != NULL)
            (void)error_write(why, "TLS: %s", words);
        else if (SSL_is_init_finished(ssl))
            explain_end(tls, "the server ended the connection after the handshake", why);
        else
            (void)error_write(why, "TLS: the server closed the connection in the handshake; does "
                                   "it speak TLS on this port?");
    }
}
