/* Reads the broker's mark, judges what Redis may have lost since, and
 * writes the mark. A part of publisher. Loop thread only. */
#ifndef TALLY_FEED_PUBLISHER_MARK_H
#define TALLY_FEED_PUBLISHER_MARK_H

#include "cover.h"
#include "publish.h"
#include "store_link.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct publisher;

/* Of each shard. */
struct publisher_mark_shard {
    bool is_new;   /* the broker holds what its mark says of it: no run of it has begun since */
    bool compared; /* all that was published of it is known to be in this run of its server */
    char run[STORE_LINK_RUN_BYTES + 1];         /* of its server, in its last run */
    char written_run[STORE_LINK_RUN_BYTES + 1]; /* as the mark says */
    uint64_t written;                           /* likewise */
    uint64_t low;       /* the broker has every change up to here, when a run
                           of the shard begins */
    uint64_t lost_from; /* publisher_lost_from */
};

struct publisher_mark {
    char store[STORE_IDENTITY_ID_BYTES + 1]; /* when the publisher worked last */
    bool new_broker;                         /* its mark is not judged yet */
    bool has_read;
    struct publish_mark read; /* the mark when the broker became ready */
    bool listing;             /* the broker tells what it retains … */
    bool listed;              /* … and did, over this connection */
    uint64_t retained;        /* totals that it told of */
    bool another;             /* the broker may hold what another store had */
    bool raise;               /* … and the floor must be above all of it */
    uint64_t floor;           /* every article of this store gets a version above it */
    struct publisher_mark_shard shard[COVER_MAX_SHARDS];
    struct event *marker; /* each second */
};

/* 0, or -1 on no memory; call publisher_mark_fini in both cases. */
int publisher_mark_init(struct publisher *publisher, struct event_base *base);
void publisher_mark_fini(struct publisher *publisher);

/* The broker became ready, with this mark; NULL: none. */
void publisher_mark_read(struct publisher *publisher, const struct publish_mark *mark);

/* The broker is away: it lists nothing any more. */
void publisher_mark_away(struct publisher *publisher);

/* The publisher begins to work. */
void publisher_mark_begin(struct publisher *publisher);

/* A run of a shard begins: decides from where to publish again and what to compare. False if the
 * broker must first list what it retains: then call it again after publisher_mark_listed. */
bool publisher_mark_begin_shard(struct publisher *publisher, uint32_t shard);

/* A run of a shard is about to end. */
void publisher_mark_pause_shard(struct publisher *publisher, uint32_t shard);

/* A total that the broker retains. */
void publisher_mark_retained(struct publisher *publisher, const char *article, size_t bytes,
                             uint64_t version);

/* These were all. False where no list was asked for. */
bool publisher_mark_listed(struct publisher *publisher);

/* Notes for which shards everything published is known to be in Redis now. Only then does the mark
 * name the run of the shard's server. */
void publisher_mark_check_compared(struct publisher *publisher);

/* Whether that is so of all shards. */
bool publisher_mark_compared(const struct publisher *publisher);

/* After publisher_stop: once everything is out and the last mark is with the broker, or a side is
 * away, calls on_stopped. Call it whenever this may have become so. */
void publisher_mark_check_stopped(struct publisher *publisher);

#endif
