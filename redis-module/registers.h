/* The registers of one article, in buckets by linear hashing (FORMATS.md 5, 5.1). Keeps the buckets
 * that it used last open, because the votes of a batch meet some of them again. Redis's main
 * thread. */
#ifndef TALLY_REDIS_MODULE_REGISTERS_H
#define TALLY_REDIS_MODULE_REGISTERS_H

#include "call.h"
#include "head.h"
#include "keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTERS_OPEN 64
#define REGISTERS_NAME_BYTES (CALL_PREFIX_MAX_BYTES + 40)

struct registers {
    struct keys *keys;
    char name[REGISTERS_NAME_BYTES]; /* what the names of all buckets begin with */
    size_t name_bytes;
    uint64_t bucket[REGISTERS_OPEN];
    struct keys_key open[REGISTERS_OPEN]; /* of bucket % REGISTERS_OPEN */
    uint8_t used[REGISTERS_OPEN];         /* which of them are, in the order of opening */
    size_t n;
};

void registers_init(struct registers *registers, struct keys *keys);

/* Goes on with another article's. */
void registers_begin(struct registers *registers, const struct call *call, uint32_t number);

/* Closes what is open. */
void registers_end(struct registers *registers);

/* The bucket of a reader's hash, open, or NULL if its key is not a hash. Valid until the next call.
 */
const struct keys_key *registers_bucket(struct registers *registers, const struct head *head,
                                        const unsigned char hash[CALL_HASH_BYTES]);

/* Moves three quarters of the bucket at the head's split position to their own buckets, then moves
 * the split position. Returns NULL, or why the bucket is still whole: then there may be copies that
 * are never read. */
const char *registers_split(struct registers *registers, struct head *head);

#endif
