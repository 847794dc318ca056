/* Reads ranges of a shard's changed set (FORMATS.md 5). Loop thread only. */
#ifndef TALLY_FEED_CHANGES_H
#define TALLY_FEED_CHANGES_H

#include "store_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGES_RANGE_MAX 1000 /* changes a request */

struct changes_entry {
    const char *article;  /* valid during the callback */
    size_t article_bytes; /* 0: the member is not an article id */
    uint64_t version;
};

/* The result of changes_range. `got`: the members that Redis returned, more than `n` where a score
 * was not a version; -1: the request failed. */
typedef void (*changes_cb)(void *user, uint32_t shard, const struct changes_entry *changes,
                           size_t n, long got);

/* Asks for up to `limit` (CHANGES_RANGE_MAX at most) changes of a shard with scores in (low, high],
 * from the lowest, or from the highest where `newest_first`; UINT64_MAX means without an upper
 * bound. Returns 0, and calls back exactly once, or -1 while the shard is not ready. */
int changes_range(struct store_link *link, uint32_t shard, uint64_t low, uint64_t high,
                  bool newest_first, size_t limit, changes_cb callback, void *user);

#endif
