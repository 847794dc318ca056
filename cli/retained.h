/* Reads, as an operator, what the broker retains under totals/ or a topic, and reads or sets an
 * article's state. One MQTT 5 connection, driven by its caller. Functions return 0, or -1 with a
 * sentence from retained_error. One thread. */
#ifndef TALLY_CLI_RETAINED_H
#define TALLY_CLI_RETAINED_H

#include "core/error.h"

#include <stddef.h>

#define RETAINED_BATCH_MAX 64

struct retained;

struct retained_config {
    const char *host;
    int port;
    const char *username, *password;
    const char *prefix; /* of every topic; copied */
};

/* Called with a total, or a state, as it is retained; `article` is NUL-terminated. */
typedef void (*retained_fn)(void *user, const char *article, const char *payload, size_t bytes);

/* Connects. NULL with a sentence in `error`. */
struct retained *retained_open(const struct retained_config *config, struct error *error);
void retained_free(struct retained *retained);
const char *retained_error(const struct retained *retained);

/* The totals of up to RETAINED_BATCH_MAX articles, in any order; `fn` is not called for articles
 * without a retained total. */
int retained_get(struct retained *retained, const char *const *articles, size_t n, retained_fn fn,
                 void *user);

/* All there are. */
int retained_all(struct retained *retained, retained_fn fn, void *user);

/* What the broker retains under exactly this topic, which gets no prefix; `fn` is called with an
 * article of "", or not at all. */
int retained_topic(struct retained *retained, const char *topic, retained_fn fn, void *user);

/* The state of an article; `fn` may also be called for another article. */
int retained_state(struct retained *retained, const char *article, retained_fn fn, void *user);

/* Makes the broker retain an article's state; 0 bytes delete it. *reason is the PUBACK's code: from
 * 0x80 on the state is refused, for the reason that retained_reason gives. */
int retained_put_state(struct retained *retained, const char *article, const char *payload,
                       size_t bytes, int *reason);
const char *retained_reason(int reason);

#endif
