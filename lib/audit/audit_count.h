/* Counts one article's registers slice by slice (count.lua), and works out what its totals in Redis
 * should be. No I/O: the caller sends the arguments and passes in the answer, synchronously or not.
 * The count is exact without a lock. Every slice must see the same head as the first one; otherwise
 * the count starts again. Whatever could change the count also changes the head. One thread. */
#ifndef TALLY_AUDIT_AUDIT_COUNT_H
#define TALLY_AUDIT_AUDIT_COUNT_H

#include "core/article.h"
#include "core/kind.h"
#include "core/total.h"
#include "redis/redis_key.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUDIT_COUNT_KEYS 4
#define AUDIT_COUNT_ARGUMENTS (1 + AUDIT_COUNT_KEYS + 5) /* after the script's name */
#define AUDIT_COUNT_SLICE_MAX 4000
#define AUDIT_COUNT_BASE_MAX_BYTES (2 + 9 * KIND_MAX)
#define AUDIT_COUNT_KEY_BYTES REDIS_KEY_BYTES

/* The scripts, to be loaded under their SHA1. */
extern const unsigned char count_lua[], pause_lua[];
extern const unsigned long count_lua_bytes, pause_lua_bytes;

struct audit_count {
    char article[ARTICLE_MAX_BYTES + 1];
    size_t article_bytes;
    unsigned char head[TOTAL_HEAD_MAX_BYTES], base[AUDIT_COUNT_BASE_MAX_BYTES];
    size_t head_bytes, base_bytes; /* for the base, SIZE_MAX: longer than any valid one */
    uint64_t changed;              /* its version in the changed set; 0: it is not in the set */
    uint64_t last_version;         /* the shard's last version */

    int64_t count[KIND_MAX + 1]; /* registers by kind id; [0] none, or not above the floor */
    uint64_t registers, misplaced, malformed;
    uint64_t slices, largest_slice; /* calls, and registers of the largest */

    bool moving; /* of the last answer: the shard is on its way to another node (_CHANGED) */
    uint64_t buckets, counted; /* the article's buckets, and how many have been counted */
    char cursor[24];           /* the cursor in the next bucket */
    char key[AUDIT_COUNT_KEYS][AUDIT_COUNT_KEY_BYTES];
    char at[24], most[12];
};

enum audit_count_step {
    AUDIT_COUNT_MORE,    /* ask for another slice */
    AUDIT_COUNT_DONE,    /* all above is valid */
    AUDIT_COUNT_ABSENT,  /* Redis has no such article */
    AUDIT_COUNT_CHANGED, /* it changed meanwhile, or its shard is moving: start again */
    AUDIT_COUNT_DAMAGED, /* its head is invalid */
    AUDIT_COUNT_FAILED,  /* an error from Redis, or an answer that cannot be parsed */
};

/* Starts a count. `article` must be a valid id; `slice` is how many registers a call counts at
 * most. */
void audit_count_begin(struct audit_count *count, const char *article, size_t article_bytes,
                       uint32_t shard, unsigned slice);

/* The same where the prefix of the keys may be another one than REDIS_KEY_PREFIX. */
void audit_count_begin_in(struct audit_count *count, const char *prefix, const char *article,
                          size_t article_bytes, uint32_t shard, unsigned slice);

/* The arguments of the next slice, after `EVALSHA sha`: AUDIT_COUNT_ARGUMENTS of them. They point
 * into `count`. */
void audit_count_arguments(struct audit_count *count, const char **argv, size_t *bytes);

enum audit_count_step audit_count_answer(struct audit_count *count, const redisReply *reply);

/* Whether the count needs more than one slice. With one slice, the count is a single call. */
bool audit_count_is_long(const struct audit_count *count);

#endif
