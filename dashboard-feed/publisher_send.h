/* Publishes one total that was fetched, or finds out why it must not go out. A total below what was
 * published or is retained is stale: its article is touched, at a bounded rate. A part of
 * publisher. Loop thread only. */
#ifndef TALLY_FEED_PUBLISHER_SEND_H
#define TALLY_FEED_PUBLISHER_SEND_H

#include "core/token_bucket.h"
#include "lookup.h"
#include "store_link.h"

#include <stdbool.h>
#include <stdint.h>

struct publisher;

struct publisher_send {
    unsigned touching;         /* articles, under way */
    struct token_bucket touch; /* articles that may be touched */
    uint64_t unknown_since_ms; /* a kind without a name was seen first; 0 none */
};

enum publisher_send_result {
    PUBLISHER_SEND_SENT,
    PUBLISHER_SEND_HIDDEN,  /* the broker retains none */
    PUBLISHER_SEND_SKIPPED, /* there is nothing to publish */
    PUBLISHER_SEND_STALE,   /* it comes again after the interval */
    PUBLISHER_SEND_REFUSED, /* not now: try again */
};

void publisher_send_init(struct publisher *publisher);

/* `repeat`: once more. `compare`: an article that Redis does not know counts as stale. `silent`: do
 * not publish the version that was published last. */
enum publisher_send_result publisher_send_total(struct publisher *publisher,
                                                const struct lookup_total *found, bool repeat,
                                                bool compare, bool silent);

#endif
