/* Whether a load balancer may send readers to this edge (INTERFACES.md 6, /readyz): the broker
 * admits reactions, and the states of articles are enforced here. Unlike health, it does not ask
 * whether Redis answers: the spool takes what readers say meanwhile. Pure; one thread. */
#ifndef TALLY_FEED_READY_H
#define TALLY_FEED_READY_H

#include "collector_status.h"

#include <stdbool.h>
#include <stddef.h>

#define READY_JSON_MAX_BYTES (2 * 6 * COLLECTOR_STATUS_REASON_MAX_BYTES + 256) /* all escaped */

struct ready {
    char refuses[COLLECTOR_STATUS_REASON_MAX_BYTES + 1]; /* as the collector said last */
    double busy;      /* reactions refused as busy, as the plugin said last */
    double busy_then; /* … as the collector said last; both count since the spool was created */
    bool busy_known;  /* the collector has said so */
    bool has_store;   /* the collector has reached a store, so the states can be read, too */
    bool states_read; /* once since the start: the broker keeps them */
    char json[READY_JSON_MAX_BYTES];
};

/* Nothing is known against this edge. */
void ready_init(struct ready *ready);

/* The collector's status. One that is offline changes nothing: the broker admits without it. */
void ready_collector(struct ready *ready, const struct collector_status *status);

/* ops/refusals said this. A message without the numbers changes nothing. */
void ready_refusals(struct ready *ready, const char *payload, size_t bytes);

/* What holds now, in the feed itself. */
struct ready_now {
    const char *broker;   /* why the broker is away, or "" */
    bool collector_fresh; /* its status is there and fresh */
    bool states_loaded;   /* the stored states are read and passed on */
    bool stopping;
};

/* Judges, and writes the answer to `json`. Returns whether readers may come. */
bool ready_check(struct ready *ready, const struct ready_now *now);

#endif
