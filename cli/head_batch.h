/* Reads heads and bases of articles of one shard (FORMATS.md 5.1), HEAD_BATCH_MAX of them a call of
 * Redis. One thread. */
#ifndef TALLY_CLI_HEAD_BATCH_H
#define TALLY_CLI_HEAD_BATCH_H

#include "store_view.h"

#include "core/article.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define HEAD_BATCH_MAX 100 /* some 0.1 ms of Redis's time */

/* Called for each article, in the order in which they were added. `head` and `base` are strings, or
 * nil where there is none. `article` is NUL-terminated, and valid during the call. */
typedef void (*head_batch_fn)(void *user, const char *article, const redisReply *head,
                              const redisReply *base);

/* Set the first four members, and zero the rest. Change the shard only after a flush. */
struct head_batch {
    struct store_view *store;
    uint32_t shard;
    head_batch_fn fn;
    void *user;

    size_t n;
    size_t bytes[HEAD_BATCH_MAX];
    char article[HEAD_BATCH_MAX][ARTICLE_MAX_BYTES + 1];
};

/* Adds a valid article (copied), and flushes if the batch is full. Returns as head_batch_flush. */
int head_batch_add(struct head_batch *batch, const char *article, size_t bytes,
                   struct error *error);

/* Reads the articles that were added. Returns 0, or -1 with a sentence; the batch is then empty,
 * too. */
int head_batch_flush(struct head_batch *batch, struct error *error);

#endif
