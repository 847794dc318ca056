/* An article's head in Redis (FORMATS.md 5.1). Pure; any thread. */
#ifndef TALLY_REDIS_MODULE_HEAD_H
#define TALLY_REDIS_MODULE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_KINDS 15
#define HEAD_MAX_BYTES (24 + 5 * HEAD_KINDS + 8)

struct head {
    bool stored; /* in Redis, not a new article's */
    uint64_t version;
    uint32_t number, voters;
    unsigned level; /* 4^level buckets before the split position */
    uint32_t split;
    unsigned kinds;                 /* bit k: kind id k is listed */
    uint32_t count[HEAD_KINDS + 1]; /* of a listed kind */
    bool floored, forgotten;
    uint64_t floor; /* a stamp, if floored */
};

/* Returns 0, or -1 for a head of another format, with an unknown flag, or of an impossible form. */
int head_read(struct head *head, const unsigned char *in, size_t bytes);

/* Returns the number of bytes. */
size_t head_write(const struct head *head, unsigned char out[HEAD_MAX_BYTES]);

/* Changes a kind's count. A kind that is left with none is no longer listed. */
void head_count(struct head *head, unsigned kind, int64_t by);

#endif
