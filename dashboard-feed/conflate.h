/* Decides which article's total goes out when (DESIGN, idea 8). Pure: time and randomness come in;
 * one thread.
 *
 * An article that changed is due at once, then at most once each interval; a total is due again,
 * once, some time after its last change went out. conflate_take hands out what is due; the caller
 * fetches the newest totals and says for each article taken what became of it: conflate_published,
 * conflate_drop or conflate_give_back.
 *
 * The table is bounded. It remembers the version that was published of each article it knows, so
 * that a lower one never goes out; at its bound it forgets the articles that have been quiet
 * longest, and refuses when there are none. */
#ifndef TALLY_FEED_CONFLATE_H
#define TALLY_FEED_CONFLATE_H

#include "core/article.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conflate;

struct conflate_config {
    uint32_t shards;
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
    bool repeat; /* nothing new: the same total once more */
};

struct conflate_stats {
    size_t articles; /* in the table */
    size_t waiting;  /* changed and not yet published */
    uint64_t evicted;
    uint64_t repeats_lost; /* of articles evicted before their total was repeated */
    uint64_t refused;      /* CONFLATE_FULL */
};

/* NULL on no memory. */
struct conflate *conflate_new(const struct conflate_config *config);
void conflate_free(struct conflate *table);

/* `article` (at most ARTICLE_MAX_BYTES) of `shard` changed: its change score is `version`. */
enum conflate_answer conflate_note(struct conflate *table, uint32_t shard, const char *article,
                                   size_t bytes, uint64_t version, uint64_t now_ms);

/* Takes up to `max` articles that are due. Returns how many. */
size_t conflate_take(struct conflate *table, uint64_t now_ms, struct conflate_due *out, size_t max);

/* Whether a total of this version may go out: it is not lower than what was published before. */
bool conflate_allows(const struct conflate *table, const char *article, size_t bytes,
                     uint64_t version);

/* Whether this version or a newer one was published since the last conflate_reset that forgot. */
bool conflate_knows(const struct conflate *table, const char *article, size_t bytes,
                    uint64_t version);

/* A total went out, taken or not (when all is published again). */
void conflate_published(struct conflate *table, uint32_t shard, const char *article, size_t bytes,
                        uint64_t version, uint64_t now_ms);

/* What went out just now is to be repeated as if it had waited: the article changed lately. */
void conflate_repeat(struct conflate *table, const char *article, size_t bytes);

/* What is shown of it changed though it did not: it is due again, an interval after it went out
 * last, as a repeat is. */
void conflate_again(struct conflate *table, uint32_t shard, const char *article, size_t bytes);

/* What was taken cannot be published: it waits no longer, unless it changed again since. */
void conflate_drop(struct conflate *table, const char *article, size_t bytes);

/* What was taken could not be published now: it is due again at once. */
void conflate_give_back(struct conflate *table, const char *article, size_t bytes);

/* Nothing waits any longer (the caller covers it by other means). `forget`: it is another broker,
 * which holds nothing of what was published; versions are remembered all the same. */
void conflate_reset(struct conflate *table, bool forget);

/* All that waits is due now: the program is about to end. */
void conflate_hurry(struct conflate *table);

/* Milliseconds until something is due: 0 at once, UINT64_MAX never. */
uint64_t conflate_next_ms(const struct conflate *table, uint64_t now_ms);

/* The version of the change of `shard` that has been waiting longest, taken ones included; 0 if
 * none waits. */
uint64_t conflate_oldest_waiting(const struct conflate *table, uint32_t shard);

struct conflate_stats conflate_stats(const struct conflate *table);

#endif
