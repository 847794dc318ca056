/* Republishes the ranges of changes that the broker may miss, newest first, and has published
 * totals compared with Redis: together at most republish_rate totals a second. A part of
 * publisher. Loop thread only. */
#ifndef TALLY_FEED_PUBLISHER_RESYNC_H
#define TALLY_FEED_PUBLISHER_RESYNC_H

#include "core/token_bucket.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct publisher;

struct publisher_resync {
    uint64_t paging;           /* a bit for each shard of which a page is under way */
    unsigned pages;            /* under way */
    struct token_bucket again; /* totals that may be published again, or compared */
    uint64_t ticks_ms;         /* the time of `again`, which fills only while `tick` is pending */
    struct event *tick;        /* while something waits to be published again */
};

/* 0, or -1 on no memory; call publisher_resync_fini in both cases. */
int publisher_resync_init(struct publisher *publisher, struct event_base *base);
void publisher_resync_fini(struct publisher *publisher);

/* A run of a shard ends. */
void publisher_resync_leave(struct publisher *publisher, uint32_t shard);

/* All have ended. */
void publisher_resync_pause(struct publisher *publisher);

/* Notes that something must be published again, or compared. */
void publisher_resync_start(struct publisher *publisher);

#endif
