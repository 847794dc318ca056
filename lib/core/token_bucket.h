/* A token bucket: tokens accrue at a constant rate up to a maximum, and each unit of work takes
 * one. Time comes in, in milliseconds of a clock that never goes back. Pure; one thread.
 *
 * core/limit.h has token buckets of another shape: eight bytes each, for many keys. */
#ifndef TALLY_CORE_TOKEN_BUCKET_H
#define TALLY_CORE_TOKEN_BUCKET_H

#include <stddef.h>
#include <stdint.h>

struct token_bucket {
    double tokens_per_s;
    double most;      /* tokens of a full bucket */
    double tokens;    /* below 0: a debt */
    uint64_t then_ms; /* time of the last refill */
};

/* An empty bucket at time 0, so it is full at the first refill by a clock that has run for long
 * enough. `most` is at least 1. */
void token_bucket_init(struct token_bucket *bucket, double tokens_per_s, double most);

/* Adds the tokens that accrued since the last refill. Returns the number of whole tokens. An
 * earlier time than the last adds none. */
size_t token_bucket_refill(struct token_bucket *bucket, uint64_t now_ms);

/* The number of whole tokens at the last refill, less those taken since. */
size_t token_bucket_left(const struct token_bucket *bucket);

/* Takes `n` tokens, available or not. The bucket repays a debt before a token is left again. */
void token_bucket_take(struct token_bucket *bucket, size_t n);

/* Returns `n` taken tokens. The next refill drops those above the maximum. */
void token_bucket_give_back(struct token_bucket *bucket, size_t n);

#endif
