/* Changes one article in Redis (FORMATS.md 5): its state, or its version alone. Either is a change
 * of the article, of which every edge's feed hears. Loop thread only. */
#ifndef TALLY_FEED_ARTICLE_WRITE_H
#define TALLY_FEED_ARTICLE_WRITE_H

#include "store_link.h"

#include <stddef.h>
#include <stdint.h>

/* The result: the version that is stored, or 0 if there was no state to take away. `later_ms`
 * not 0: nothing was done; try again after that time. */
typedef void (*article_write_cb)(void *user, uint64_t version, uint32_t later_ms);

/* Stores an article's state, JSON without a version; "" takes it away. It gets a version above
 * `above`. Returns 0, and calls back exactly once, or -1 while its shard is not ready. */
int article_write_state(struct store_link *link, const char *article, size_t bytes,
                        const char *json, uint64_t above, article_write_cb callback, void *user);

/* Gives an article a version above `above` in Redis, unless it has one. Its counts stay. An article
 * without a head gets one of no voters. Returns 0, and calls back exactly once, or -1 while its
 * shard is not ready. */
int article_write_version(struct store_link *link, const char *article, size_t bytes,
                          uint64_t above, article_write_cb callback, void *user);

#endif
