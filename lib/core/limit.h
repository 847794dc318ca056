/* Token buckets. A bucket is one number: the time when it will be full again (the theoretical
 * arrival time of GCRA, the virtual scheduling algorithm of ITU-T I.371, annex A). 0 is a full one,
 * and no timer refills it. Time comes in, in nanoseconds of a clock that nobody should set. If it
 * jumps, back by more than two whole buckets or forward, the bucket is full. Checking and taking
 * are two steps, so a request that is refused for another reason costs no token. Pure; one
 * thread. */
#ifndef TALLY_CORE_LIMIT_H
#define TALLY_CORE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_SECOND_NS UINT64_C(1000000000)

struct limit_rate {
    uint64_t interval_ns; /* time to regain one token */
    uint64_t burst;       /* tokens of a full bucket */
};

/* `tokens` (1 to 10^6) in each `period_ns`, `burst` (1 to 10^6) at once. */
struct limit_rate limit_rate_of(uint64_t tokens, uint64_t period_ns, uint64_t burst);

/* Whether a token is left. */
bool limit_left(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns);

/* The bucket after taking an available token. */
uint64_t limit_taken(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns);

/* The bucket after taking `n` tokens, available or not. The debt, a burst at most, is repaid before
 * a token is available again. */
uint64_t limit_charged(const struct limit_rate *rate, uint64_t bucket, uint64_t n, uint64_t now_ns);

/* --- a table of buckets --- */

/* Bounded: a new key evicts the bucket that was unused for longest. A bucket unused for as long as
 * it takes to fill was full, so nothing is lost. Only a client that makes more keys than the table
 * holds within that time gets extra tokens. */
struct limit_table;

/* `max` keys; `seed` as in slots_new. All memory is allocated here. NULL if memory is short. */
struct limit_table *limit_table_new(uint32_t max, const struct limit_rate *rate, uint64_t seed);
void limit_table_free(struct limit_table *table); /* NULL is fine */

/* The key's bucket, or a full one if it had none. It remains the key's until the next call. */
uint64_t *limit_table_bucket(struct limit_table *table, uint64_t key);

bool limit_table_left(const struct limit_table *table, const uint64_t *bucket, uint64_t now_ns);
void limit_table_take(const struct limit_table *table, uint64_t *bucket, uint64_t now_ns);

/* As limit_charged. */
void limit_table_charge(const struct limit_table *table, uint64_t *bucket, uint64_t n,
                        uint64_t now_ns);

uint32_t limit_table_count(const struct limit_table *table);

#endif
