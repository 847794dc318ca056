/* Token buckets with fractional tokens: rates are tokens a second, and refills come every few
 * milliseconds. */
#include "core/token_bucket.h"

void token_bucket_init(struct token_bucket *bucket, double tokens_per_s, double most)
{
    *bucket = (struct token_bucket){.tokens_per_s = tokens_per_s, .most = most};
}

size_t token_bucket_refill(struct token_bucket *bucket, uint64_t now_ms)
{
    if (now_ms > bucket->then_ms) {
        bucket->tokens += bucket->tokens_per_s * (double)(now_ms - bucket->then_ms) / 1000;
        bucket->then_ms = now_ms;
    }
    if (bucket->tokens > bucket->most)
        bucket->tokens = bucket->most;
    return token_bucket_left(bucket);
}

size_t token_bucket_left(const struct token_bucket *bucket)
{
    return bucket->tokens >= 1 ? (size_t)bucket->tokens : 0;
}

void token_bucket_take(struct token_bucket *bucket, size_t n)
{
    bucket->tokens -= (double)n;
}

void token_bucket_give_back(struct token_bucket *bucket, size_t n)
{
    bucket->tokens += (double)n;
}
