/* What of Redis's changed set the broker may lack: by shard, the change score up to which changes
 * are followed live, and the ranges of scores that are still to be published again, newest first.
 * Pure; one thread.
 *
 * Scores are whole numbers, unique in a shard, and rise. A range is (low, high]: above low, up to
 * high. */
#ifndef TALLY_FEED_COVER_H
#define TALLY_FEED_COVER_H

#include <stdbool.h>
#include <stdint.h>

#define COVER_MAX_SHARDS 64
#define COVER_MAX_RANGES                                                                           \
    4 /* a shard; one more is merged with its neighbour, so that too much is published, never too  \
         little */

struct cover_range {
    uint64_t low, high;
};

struct cover_shard {
    uint64_t live; /* changes up to here were heard of, or lie in the ranges */
    uint32_t n;
    struct cover_range range[COVER_MAX_RANGES]; /* the highest last; they do not touch */
};

struct cover {
    uint32_t shards;
    struct cover_shard shard[COVER_MAX_SHARDS];
};

/* Nothing to do anywhere, live from 0. */
void cover_init(struct cover *cover, uint32_t shards);

/* Begins or continues with a shard whose newest change has score `top`: it is live from there.
 * (low, top] must be republished, in addition to the ranges still open. If Redis went back (top <
 * low), nothing is added. */
void cover_follow(struct cover *cover, uint32_t shard, uint64_t low, uint64_t top);

/* Forgets the open ranges of a shard: the broker is another one. */
void cover_clear(struct cover *cover, uint32_t shard);

/* A change was heard of. */
void cover_heard(struct cover *cover, uint32_t shard, uint64_t version);

/* The shard with the newest open range, and that range, of those whose bit in `busy` is not set.
 * False if none is open. */
bool cover_next(const struct cover *cover, uint64_t busy, uint32_t *shard,
                struct cover_range *range);

/* The newest range of `shard` is published down to score `down_to`, inclusive; 0: all of it. */
void cover_done(struct cover *cover, uint32_t shard, uint64_t down_to);

/* The score up to which the broker has every change. `oldest_waiting`: of the changes heard of and
 * not yet published, 0 none. */
uint64_t cover_covered(const struct cover *cover, uint32_t shard, uint64_t oldest_waiting);

/* Shards with an open range. */
uint32_t cover_open(const struct cover *cover);

#endif
