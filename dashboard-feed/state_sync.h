/* Moves articles' states between the broker and Redis (INTERFACES.md 2.9, 5). It stores
 * operators' requests, publishes stored states, publishes a state again when it opens or closes,
 * and hides totals where a state says so. Owns the table of states; its only own events are timers.
 * Loop thread only.
 *
 * It publishes whenever the broker is there, and loads and stores the states of a shard whenever
 * the shard is. */
#ifndef TALLY_FEED_STATE_SYNC_H
#define TALLY_FEED_STATE_SYNC_H

#include "publish.h"
#include "publisher.h"
#include "states.h"
#include "store_link.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_sync;

struct state_sync_config {
    size_t max_states;
    uint64_t publish_rate; /* states a second, where many are due at once */
    unsigned char seed[ARTICLE_SEED_BYTES];
    /* The article's total is shown from now on. */
    void (*on_shown)(void *user, const char *article, size_t bytes);
    void *user;
};

struct state_sync_stats {
    uint64_t published; /* states, and that there is none */
    uint64_t stored;    /* in Redis, and taken away there */
    uint64_t bad;       /* messages on articles/ that are no state */
    struct states_stats states;
};

/* NULL on no memory. */
struct state_sync *state_sync_new(struct event_base *base, const struct state_sync_config *config);

/* Before this, and after the store link and publish are freed, no other function may be called but
 * state_sync_free. */
void state_sync_connect(struct state_sync *sync, struct store_link *link, struct publish *publish,
                        const struct publisher *publisher);

void state_sync_free(struct state_sync *sync);

/* From store_link. */
void state_sync_store_ready(struct state_sync *sync);
void state_sync_shard(struct state_sync *sync, uint32_t shard, bool ready);
void state_sync_changed(struct state_sync *sync, const char *article, size_t bytes);

/* From publish. */
void state_sync_broker_connected(struct state_sync *sync);
void state_sync_heard(struct state_sync *sync, const char *article, const char *payload,
                      size_t bytes);
void state_sync_broker_ready(struct state_sync *sync);

/* From publisher, once it may have begun to work: from then on it knows what Redis may have lost.
 */
void state_sync_judge(struct state_sync *sync);

/* From publisher: a total was fetched, with its article's state. */
enum publisher_view state_sync_total(struct state_sync *sync, const struct lookup_total *total,
                                     bool repeat);

/* Whether it has read the stored states and follows them. A shard counts as away, and is not waited
 * for, if its server is still not there 5 s after the store is followed. */
bool state_sync_is_loaded(const struct state_sync *sync);

struct state_sync_stats state_sync_stats(const struct state_sync *sync);

#endif
