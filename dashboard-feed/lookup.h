/* Reads articles' totals and states: heads, bases and states (FORMATS.md 5), each shard's in one
 * step. Loop thread only. */
#ifndef TALLY_FEED_LOOKUP_H
#define TALLY_FEED_LOOKUP_H

#include "store_link.h"

#include "core/article_state.h"
#include "core/total.h"

#include <stddef.h>
#include <stdint.h>

#define LOOKUP_ARTICLES_MAX 256 /* a request */

enum lookup_outcome {
    LOOKUP_FOUND,
    LOOKUP_NONE, /* nobody reacted to the article: all zero */
    LOOKUP_BAD,  /* the head, base or state is not of format 1 */
    LOOKUP_AWAY, /* its shard is away, or has not answered: nothing is known */
};

struct lookup_total {
    const char *article; /* valid during the callback */
    size_t article_bytes;
    uint32_t shard;
    enum lookup_outcome outcome;
    struct total total;
    const struct article_state *state; /* NULL: none; valid during the callback */
};

/* The result of lookup_totals, in the order asked for. */
typedef void (*lookup_cb)(void *user, const struct lookup_total *totals, size_t n);

struct lookup_article {
    const char *id; /* a valid article id; copied */
    size_t bytes;
};

struct lookup;

/* Asks for the totals of up to LOOKUP_ARTICLES_MAX articles: each shard on its own, and calls back,
 * exactly once and later, when the last of them has answered or gone away. The lookup is valid
 * until the callback returns. NULL where none can be asked: all of their shards are away. */
struct lookup *lookup_begin(struct store_link *link, const struct lookup_article *articles,
                            size_t n, lookup_cb callback, void *user);

/* What is known before the callback, as it gets it: an article is LOOKUP_AWAY until its shard has
 * answered. Valid until the loop turns. */
const struct lookup_total *lookup_so_far(const struct lookup *lookup);

/* lookup_begin, for a caller that only waits. Returns 0 or -1. */
int lookup_totals(struct store_link *link, const struct lookup_article *articles, size_t n,
                  lookup_cb callback, void *user);

#endif
