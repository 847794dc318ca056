/* Stores operators' requests for articles' states in Redis (states.h), each as soon
 * as its shard is ready. A request that Redis refuses is tried again, and delays no other.
 * Its only own event is a timer. Loop thread only. */
#ifndef TALLY_FEED_STATE_REQUESTS_H
#define TALLY_FEED_STATE_REQUESTS_H

#include "states.h"
#include "store_link.h"

#include <event2/event.h>
#include <stdint.h>

struct state_requests;

struct state_requests_config {
    struct states *states;         /* outlives it */
    void (*on_stored)(void *user); /* a request was: the table has changed */
    void *user;
};

/* NULL on no memory. */
struct state_requests *state_requests_new(struct event_base *base,
                                          const struct state_requests_config *config);

/* Before this, and after the store link is freed, no other function may be called but
 * state_requests_free. */
void state_requests_connect(struct state_requests *store, struct store_link *link);

void state_requests_free(struct state_requests *store);

/* There may be new requests. */
void state_requests_pump(struct state_requests *store);

/* A shard has become ready: retries its requests. */
void state_requests_retry(struct state_requests *store);

/* Requests that were stored. */
uint64_t state_requests_stored(const struct state_requests *store);

#endif
