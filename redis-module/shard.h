/* A shard's own keys in Redis (FORMATS.md 5): whether a call may apply, and what changes with its
 * articles. Redis's main thread. */
#ifndef TALLY_REDIS_MODULE_SHARD_H
#define TALLY_REDIS_MODULE_SHARD_H

#include "answer.h"
#include "call.h"
#include "head.h"
#include "keys.h"

#include <stdbool.h>
#include <stdint.h>

struct shard {
    struct keys *keys;
    const struct call *call;
    struct keys_key heads, changed, meta, rings;
    RedisModuleString *stored; /* the ring's position, or NULL */
    uint64_t last_version, clock_us;
    uint32_t last_number, first_number;
    bool heads_changed, versions_changed;
};

/* Opens the keys and reads all but the heads. Returns whether the call may be applied; if not,
 * `answer` has the reason. The answer may point into the shard. Call shard_close in any case. */
bool shard_open(struct shard *shard, struct keys *keys, const struct call *call,
                struct answer *answer);
void shard_close(struct shard *shard);

/* Reads an article's head. Returns 1; 0 if it has none; -1 if it is damaged. */
int shard_head(struct shard *shard, RedisModuleString *article, struct head *head);

/* Writes it. `renewed`: with a new version, which the changed set gets, too. */
void shard_set_head(struct shard *shard, RedisModuleString *article, struct head *head,
                    bool renewed);

/* The end of a call in which something was applied. `moves`: all of it, so the ring's position
 * moves. */
void shard_finish(struct shard *shard, bool moves);

/* Tells the feeds that something changed. */
void shard_hint(struct shard *shard);

#endif
