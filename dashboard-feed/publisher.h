/* Moves totals from Redis to the broker: changes reports them, conflate and cover decide what is
 * due, publish sends it. Owns conflate and cover; its only own events are timers. Loop thread
 * only.
 *
 * It works while both sides are ready. Each shard begins, and pauses, by itself: when it has become
 * ready, the publisher asks it for its newest change and follows from there. It republishes what
 * lies between the broker's mark and that change, newest first, at a bounded rate.
 *
 * Redis may have lost published totals of a shard if the shard's server is in another run than the
 * mark or this publisher knows, or if it holds another store. The publisher then compares every
 * retained or published article of the shard with Redis, at the same rate. It touches an article
 * whose version in Redis is lower (article_write_version). The article gets a higher version, which
 * every feed publishes. The mark names the run of the shard's server only once every article of the
 * shard is compared. */
#ifndef TALLY_FEED_PUBLISHER_H
#define TALLY_FEED_PUBLISHER_H

#include "conflate.h"
#include "lookup.h"
#include "publish.h"
#include "store_link.h"

#include "core/histogram.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct publisher;

/* What to do with a total. */
enum publisher_view {
    PUBLISHER_SHOW,
    PUBLISHER_HIDDEN, /* hidden, and the broker retains none */
    PUBLISHER_LATER,  /* cannot be done now */
};

struct publisher_config {
    uint64_t interval_ms;
    uint64_t publish_rate; /* totals a second, changed ones and repeats */
    uint64_t repeat_ms;
    uint64_t republish_rate; /* totals a second */
    size_t max_articles;
    unsigned char seed[ARTICLE_SEED_BYTES];
    /* After publisher_stop: everything due is published, and the broker has the mark. */
    void (*on_stopped)(void *user);
    /* A total was fetched, with its article's state; `repeat`: once more. NULL: all are shown. */
    enum publisher_view (*on_total)(void *user, const struct lookup_total *total, bool repeat);
    void *user;
};

struct publisher_stats {
    uint64_t changed;         /* totals published because they changed */
    uint64_t repeated;        /* once more, some time after their last change */
    uint64_t republished;     /* because the broker may have lacked them */
    uint64_t outdated;        /* not published: lower than what was published before */
    uint64_t touched;         /* given a newer version in Redis for that */
    bool comparing;           /* not all that was published is known to be in Redis */
    uint64_t held_back;       /* times that the broker accepted nothing */
    uint64_t over_rate;       /* times that totals waited as publish_rate was reached */
    struct histogram delay_s; /* from an article's change to its publication */
    uint32_t open_shards;     /* with changes that are still to be published again */
    struct conflate_stats conflate;
};

/* NULL on no memory. */
struct publisher *publisher_new(struct event_base *base, const struct publisher_config *config);

/* Before this, and after the store link and publish are freed, no other function may be called but
 * publisher_free. */
void publisher_connect(struct publisher *publisher, struct store_link *link,
                       struct publish *publish);

void publisher_free(struct publisher *publisher);

/* From store_link. */
void publisher_store_ready(struct publisher *publisher);
void publisher_store_away(struct publisher *publisher);
void publisher_shard(struct publisher *publisher, uint32_t shard, bool ready);
void publisher_hint(struct publisher *publisher, uint32_t shard);

/* From publish. */
void publisher_broker_ready(struct publisher *publisher, const struct publish_mark *mark);
void publisher_broker_away(struct publisher *publisher);
/* After publish_list: one call for each total that the broker retains, then one that says that
 * these were all. */
void publisher_retained(struct publisher *publisher, const char *article, size_t bytes,
                        uint64_t version);
void publisher_listed(struct publisher *publisher);
void publisher_marked(struct publisher *publisher);

/* What readers see of the article's total has changed, although the total has not. Does nothing
 * while the article's shard is not followed. */
void publisher_renew(struct publisher *publisher, const char *article, size_t bytes);

/* Publishes every waiting total, then the mark, then calls on_stopped; at once if a side is away.
 * Shards that are away are not waited for. */
void publisher_stop(struct publisher *publisher);

/* According to the mark, Redis may have lost the shard's changes from this version on;
 * UINT64_MAX if nothing is lost. Ask only while the publisher follows the shard. */
uint64_t publisher_lost_from(const struct publisher *publisher, uint32_t shard);

/* Whether the broker may hold what another store had. */
bool publisher_another(const struct publisher *publisher);

/* Whether the publisher follows the shard. */
bool publisher_running(const struct publisher *publisher, uint32_t shard);

struct publisher_stats publisher_stats(const struct publisher *publisher);

#endif
