/* What the broker retains under totals/, asked for as an operator. One MQTT 5 connection, driven by
 * its caller. Functions return 0, or -1 with a sentence from retained_error. One thread. */
#ifndef TALLY_CLI_RETAINED_H
#define TALLY_CLI_RETAINED_H

#include <stddef.h>

#define RETAINED_BATCH_MAX 64

struct retained;

struct retained_config {
    const char *host;
    int port;
    const char *username, *password;
    const char *prefix; /* of every topic; copied */
};

/* Called with a total as it is retained; `article` is NUL-terminated. */
typedef void (*retained_fn)(void *user, const char *article, const char *payload, size_t bytes);

/* Connects. NULL with a sentence in `error`. */
struct retained *retained_open(const struct retained_config *config, char *error,
                               size_t error_bytes);
void retained_free(struct retained *retained);
const char *retained_error(const struct retained *retained);

/* The totals of up to RETAINED_BATCH_MAX articles, in any order; `fn` is not called for those that
 * have none. */
int retained_get(struct retained *retained, const char *const *articles, size_t n, retained_fn fn,
                 void *user);

/* All there are. */
int retained_all(struct retained *retained, retained_fn fn, void *user);

#endif
