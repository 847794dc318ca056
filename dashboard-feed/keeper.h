/* Moves articles' states between the broker and Redis (INTERFACES.md 2.9, 5). It stores what
 * operators say, publishes what is stored, publishes it again when a state opens or closes, and
 * hides totals where a state does. Owns the table of states; its only I/O of its own is timers.
 * Loop thread only.
 *
 * It publishes whenever the broker is there, and stores whenever Redis is. */
#ifndef TALLY_FEED_KEEPER_H
#define TALLY_FEED_KEEPER_H

#include "follow.h"
#include "publish.h"
#include "publisher.h"
#include "states.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keeper;

struct keeper_config {
    size_t max_states;
    uint64_t publish_rate; /* states a second, where many are due at once */
    unsigned char seed[ARTICLE_SEED_BYTES];
    /* The article's total is shown from now on. */
    void (*on_shown)(void *user, const char *article, size_t bytes);
    void *user;
};

struct keeper_stats {
    uint64_t published; /* states, and that there is none */
    uint64_t stored;    /* in Redis, and taken away there */
    uint64_t bad;       /* messages on articles/ that are no state */
    struct states_stats states;
};

/* NULL on no memory. */
struct keeper *keeper_new(struct event_base *base, const struct keeper_config *config);

/* Before this, and after follow and publish are freed, no other function may be called but
 * keeper_free. */
void keeper_connect(struct keeper *keeper, struct follow *follow, struct publish *publish,
                    const struct publisher *publisher);

void keeper_free(struct keeper *keeper);

/* From follow. */
void keeper_store_ready(struct keeper *keeper);
void keeper_store_away(struct keeper *keeper);
void keeper_changed(struct keeper *keeper, const char *article, size_t bytes);

/* From publish. */
void keeper_broker_connected(struct keeper *keeper);
void keeper_heard(struct keeper *keeper, const char *article, const char *payload, size_t bytes);
void keeper_broker_ready(struct keeper *keeper);

/* From publisher, once it may run: from then on it knows what Redis may have lost. */
void keeper_judge(struct keeper *keeper);

/* From publisher: a total was fetched, with its article's state. */
enum publisher_view keeper_total(struct keeper *keeper, const struct follow_total *total,
                                 bool repeat);

struct keeper_stats keeper_stats(const struct keeper *keeper);

#endif
