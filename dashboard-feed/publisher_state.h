/* What the parts of the publisher share. Only publisher*.c and their headers include this.
 *
 *   publisher_send    one total: publishes it, or touches the article if it is stale
 *   publisher_live    changed totals: follows the shards, fetches what is due
 *   publisher_resync  republishes the ranges that the broker may miss, and compares
 *   publisher_mark    what the broker is known to hold: reads, judges and writes the mark
 *   publisher         puts them together: begins, pauses, stops
 *
 * Each part writes only its own struct, the statistics, the table and the ranges. The others read
 * what they need. */
#ifndef TALLY_FEED_PUBLISHER_STATE_H
#define TALLY_FEED_PUBLISHER_STATE_H

#include "cover.h"
#include "publisher.h"
#include "publisher_live.h"
#include "publisher_mark.h"
#include "publisher_resync.h"
#include "publisher_send.h"

#define PUBLISHER_BATCH 200 /* totals a lookup */

/* Of each shard. */
struct publisher_shard {
    bool running; /* the publisher works, and the shard is there */
    uint32_t run; /* answers of an earlier run are ignored */
};

struct publisher {
    struct publisher_config config;
    struct store_link *link;
    struct publish *publish;
    struct conflate *table;
    struct event *again; /* shards that could not begin try once more */
    struct cover cover;
    bool running; /* a store is followed, and the broker is there */
    bool stopping;
    struct publisher_shard shard[COVER_MAX_SHARDS];
    struct publisher_send send;
    struct publisher_live live;
    struct publisher_resync resync;
    struct publisher_mark mark;
    struct publisher_stats stats;
};

/* Of one request: who made it, of which shard, and in which run of it. */
struct publisher_asked {
    struct publisher *publisher;
    uint32_t shard;
    uint32_t run;
};

static inline struct publisher_asked publisher_state_ask(struct publisher *publisher,
                                                         uint32_t shard)
{
    return (struct publisher_asked){publisher, shard, publisher->shard[shard].run};
}

/* Whether the answer is to a request of this run. */
static inline bool publisher_state_current(const struct publisher_asked *asked)
{
    const struct publisher_shard *shard = &asked->publisher->shard[asked->shard];
    return shard->running && asked->run == shard->run;
}

/* A bit for each shard that is not there. */
static inline uint64_t publisher_state_away(const struct publisher *publisher)
{
    uint64_t away = 0;
    for (uint32_t i = 0; i < COVER_MAX_SHARDS; i++)
        away |= publisher->shard[i].running ? 0 : UINT64_C(1) << i;
    return away;
}

#endif
