/* Stores in Redis what operators wish of articles' states (states.h): each wish as soon as its
 * shard is ready. What Redis does not take is tried again, and keeps no other wish waiting. Its
 * only I/O of its own is a timer. Loop thread only. */
#ifndef TALLY_FEED_WISH_STORE_H
#define TALLY_FEED_WISH_STORE_H

#include "states.h"
#include "store_link.h"

#include <event2/event.h>
#include <stdint.h>

struct wish_store;

struct wish_store_config {
    struct states *states;         /* outlives it */
    void (*on_stored)(void *user); /* a wish was: the table has changed */
    void *user;
};

/* NULL on no memory. */
struct wish_store *wish_store_new(struct event_base *base, const struct wish_store_config *config);

/* Before this, and after the store link is freed, no other function may be called but
 * wish_store_free. */
void wish_store_connect(struct wish_store *store, struct store_link *link);

void wish_store_free(struct wish_store *store);

/* There may be new wishes. */
void wish_store_pump(struct wish_store *store);

/* A shard has become ready: what was not stored is tried again. */
void wish_store_retry(struct wish_store *store);

/* Wishes that were stored. */
uint64_t wish_store_stored(const struct wish_store *store);

#endif
