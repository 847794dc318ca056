/* Changed totals: follows each shard's changed set, and fetches and publishes what conflate says is
 * due, at most publish_rate totals a second. A part of publisher. Loop thread only. */
#ifndef TALLY_FEED_PUBLISHER_LIVE_H
#define TALLY_FEED_PUBLISHER_LIVE_H

#include "core/gather.h"
#include "core/token_bucket.h"
#include "cover.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct publisher;

struct publisher_live_shard {
    bool followed;        /* its newest change was asked for: live from there */
    bool asking;          /* a poll is under way */
    bool again;           /* poll once more */
    bool more;            /* the last poll did not return all */
    unsigned fetching;    /* lookups under way */
    struct gather gather; /* polls */
};

struct publisher_live {
    struct publisher_live_shard shard[COVER_MAX_SHARDS];
    unsigned fetching;              /* lookups under way, of all shards */
    struct token_bucket due;        /* totals that may be published */
    struct event *poll;             /* each second: asks every shard */
    struct event *soon;             /* polls that were spaced out, … */
    uint64_t soon_ms;               /* … the first of them */
    struct gather_load gather_load; /* the polls of all shards */
    unsigned gather_max_ms;         /* between two polls of a shard that changes all the time */
    unsigned gather_phase_ms;       /* when the polls of all shards meet: up to gather_max_ms */
    struct event *pump;             /* the next total is due */
};

/* 0, or -1 on no memory; call publisher_live_fini in both cases. */
int publisher_live_init(struct publisher *publisher, struct event_base *base);
void publisher_live_fini(struct publisher *publisher);

/* A run of a shard begins: asks it for its newest change. */
void publisher_live_follow(struct publisher *publisher, uint32_t number);

/* A run of a shard ends. */
void publisher_live_leave(struct publisher *publisher, uint32_t number);

/* All have ended. */
void publisher_live_pause(struct publisher *publisher);

/* Asks for a shard's changes; a little later if it was asked just now. */
void publisher_live_poll(struct publisher *publisher, uint32_t number);

/* Fetches the due articles, as far as the broker and the rate allow, and arms the timer for the
 * rest. */
void publisher_live_pump(struct publisher *publisher);

/* Pumps in a millisecond. */
void publisher_live_pump_soon(struct publisher *publisher);

#endif
