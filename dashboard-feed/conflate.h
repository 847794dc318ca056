/* Decides when each article's total is published (DESIGN, idea 8). Pure: the caller supplies time
 * and randomness; one thread.
 *
 * A changed article is due at once, then at most once per interval. Its total is due again, once,
 * some time after the last change went out. conflate_take hands out what is due, a shard at a time,
 * so that a shard whose server does not answer holds up no other. The caller fetches the newest
 * totals and reports the outcome for each article taken: conflate_published, conflate_drop or
 * conflate_give_back.
 *
 * The table is bounded. It remembers the published version of each article it knows, so that a
 * lower one never goes out. At its bound it forgets the longest quiet articles, and refuses when
 * none is quiet.
 *
 * When Redis may have lost published totals of a shard, conflate_resync schedules one comparison
 * with Redis for every quiet article of the shard, the most recently quiet first, as many at a time
 * as conflate_resync_more says. An article whose version in Redis is below the published one is
 * stale (conflate_stale): the caller makes sure that it gets a higher one, and it comes again until
 * it has. */
#ifndef TALLY_FEED_CONFLATE_H
#define TALLY_FEED_CONFLATE_H

#include "core/article.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conflate;

struct conflate_config {
    uint32_t shards; /* 64 at most */
    uint64_t interval_ms;
    uint64_t repeat_ms;                     /* after a change went out */
    size_t max_articles;                    /* at least 1 */
    unsigned char seed[ARTICLE_SEED_BYTES]; /* random: article_hash */
};

enum conflate_answer {
    CONFLATE_NOTED,
    CONFLATE_KNOWN, /* this version or a newer one is published already */
    CONFLATE_FULL,  /* every article in the table is waiting: ask again later */
};

struct conflate_due {
    const char *article; /* the table's; valid until the next call but conflate_take */
    size_t article_bytes;
    uint32_t shard;
    uint32_t batch; /* of all that this call of conflate_take handed out */
    bool repeat;    /* nothing new: the same total once more */
    bool compare;   /* it may have gone from Redis */
    bool silent;    /* it is only compared: the same total is not to go out once more */
};

struct conflate_stats {
    size_t articles; /* in the table */
    size_t waiting;  /* changed and not yet published */
    uint64_t evicted;
    uint64_t repeats_lost; /* of articles evicted before their total was repeated */
    uint64_t refused;      /* CONFLATE_FULL */
    size_t stale;          /* lower in Redis than what was published */
    size_t resync;         /* handed on by conflate_resync_more and not compared yet */
};

/* NULL on no memory. */
struct conflate *conflate_new(const struct conflate_config *config);
void conflate_free(struct conflate *conflate);

/* `article` (at most ARTICLE_MAX_BYTES) of `shard` changed: its change score is `version`. */
enum conflate_answer conflate_note(struct conflate *conflate, uint32_t shard, const char *article,
                                   size_t bytes, uint64_t version, uint64_t now_ms);

/* The shard whose article has been due for longest, of those whose bit in `busy` is not set. False:
 * nothing is due. */
bool conflate_due_shard(struct conflate *conflate, uint64_t now_ms, uint64_t busy, uint32_t *shard);

/* Takes up to `max` articles of the shard that are due. Returns how many. */
size_t conflate_take(struct conflate *conflate, uint32_t shard, uint64_t now_ms,
                     struct conflate_due *out, size_t max);

/* The highest version of the article that was published or is retained; 0 if none is known.
 * Nothing lower may go out. */
uint64_t conflate_version(const struct conflate *conflate, const char *article, size_t bytes);

/* The highest version of any article, forgotten ones included. */
uint64_t conflate_highest(const struct conflate *conflate);

/* The broker retains a total of this version of an article. */
void conflate_retained(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes,
                       uint64_t version);

/* Schedules a comparison with Redis for every article of the shard that is quiet or waits for its
 * repeat. Call it after conflate_reset_shard, while what is fetched of the shard comes from a run
 * of Redis that must have it. */
void conflate_resync(struct conflate *conflate, uint32_t shard);

/* Up to `n` more of these are due. Those of shards whose bit in `busy` is set are left out: resync
 * the shard once more when it is there. Returns how many. 0 does not mean that these were all. */
size_t conflate_resync_more(struct conflate *conflate, uint64_t busy, size_t n);

/* Whether some of the shard were not compared yet, or are stale. */
bool conflate_resyncing(const struct conflate *conflate, uint32_t shard);

/* The article's total in Redis is below what was published: it comes again after the interval, as
 * one to be compared. False where the table is full. */
bool conflate_stale(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes,
                    uint64_t now_ms);

/* Whether this version or a newer one was published since the last conflate_reset. */
bool conflate_knows(const struct conflate *conflate, const char *article, size_t bytes,
                    uint64_t version);

/* A total went out, whether or not it was taken (republished totals are not). */
void conflate_published(struct conflate *conflate, uint32_t shard, const char *article,
                        size_t bytes, uint64_t version, uint64_t now_ms);

/* The last publication said that the article is forgotten: the broker retains nothing of it, so it
 * may be missing in Redis. Valid until the next conflate_published. */
void conflate_gone(struct conflate *conflate, const char *article, size_t bytes);
bool conflate_is_gone(const struct conflate *conflate, const char *article, size_t bytes);

/* Repeats a total that was just published as if it had waited: the article changed lately. */
void conflate_repeat(struct conflate *conflate, const char *article, size_t bytes);

/* What readers see of it changed although the article did not: it is due again, an interval after
 * it last went out, as a repeat is. */
void conflate_again(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes);

/* A taken article cannot be published: it no longer waits, unless it changed again since. */
void conflate_drop(struct conflate *conflate, const char *article, size_t bytes);

/* A taken article could not be published now: it is due again at once. */
void conflate_give_back(struct conflate *conflate, const char *article, size_t bytes);

/* The same for all that one conflate_take handed out and of which nothing was said. */
void conflate_give_back_batch(struct conflate *conflate, uint32_t batch);

/* Drops everything of the shard that waits or is due (the caller covers it by other means). */
void conflate_reset_shard(struct conflate *conflate, uint32_t shard);

/* The same for all shards: the broker is another one and holds nothing of what was published.
 * Versions are still remembered. */
void conflate_reset(struct conflate *conflate);

/* All that waits is due now: the program is about to end. */
void conflate_hurry(struct conflate *conflate);

/* Milliseconds until something is due: 0 at once, UINT64_MAX never. `busy` as in
 * conflate_due_shard. */
uint64_t conflate_next_ms(const struct conflate *conflate, uint64_t now_ms, uint64_t busy);

/* The version of the change of `shard` that has been waiting longest, taken ones included; 0 if
 * none waits. Of an article that changed again while it waited it is the first: Redis may lose the
 * later ones. */
uint64_t conflate_oldest_waiting(const struct conflate *conflate, uint32_t shard);

struct conflate_stats conflate_stats(const struct conflate *conflate);

#endif
