/* Token buckets. A bucket is one number: when it will be full again (the theoretical arrival time
 * of GCRA, the virtual scheduling algorithm of ITU-T I.371, annex A), so that nothing is refilled
 * by a timer, and 0 is a full one. Time comes in, in nanoseconds of a clock that nobody should set;
 * where it does jump, back by more than the time of two whole buckets, or forward, the bucket is
 * full. Looking and taking are two steps, so that what is refused for another reason costs no
 * token. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_LIMIT_H
#define TALLY_BROKER_PLUGIN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_SECOND_NS UINT64_C(1000000000)

struct limit_rate {
    uint64_t interval_ns; /* a token comes back each */
    uint64_t burst;       /* tokens of a full bucket */
};

/* `tokens` (1 to 10^6) in each `period_ns`, `burst` (1 to 10^6) at once. */
struct limit_rate limit_rate_of(uint64_t tokens, uint64_t period_ns, uint64_t burst);

/* Whether a token is left. */
bool limit_left(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns);

/* The bucket after a token that was left has been taken. */
uint64_t limit_taken(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns);

/* The bucket after `n` tokens have been taken, whether so many were left or not: what is lacking, a
 * burst at most, comes back before the next is left. */
uint64_t limit_charged(const struct limit_rate *rate, uint64_t bucket, uint64_t n, uint64_t now_ns);

/* --- a bucket for each of many --- */

/* Bounded: the bucket used longest ago is forgotten for a new one. One that was not used for as
 * long as a bucket takes to fill was full, so that nothing is lost with it: only who makes more
 * keys than the table holds within that time gets more than his tokens. */
struct limit_table;

/* `max` keys; `seed` as in slots_new. All memory is allocated here. NULL for no memory. */
struct limit_table *limit_table_new(uint32_t max, const struct limit_rate *rate, uint64_t seed);
void limit_table_free(struct limit_table *table); /* NULL is fine */

/* The key's bucket; a full one where it had none. It stays the key's until the next call. */
uint64_t *limit_table_bucket(struct limit_table *table, uint64_t key);

bool limit_table_left(const struct limit_table *table, const uint64_t *bucket, uint64_t now_ns);
void limit_table_take(const struct limit_table *table, uint64_t *bucket, uint64_t now_ns);

/* As limit_charged. */
void limit_table_charge(const struct limit_table *table, uint64_t *bucket, uint64_t n,
                        uint64_t now_ns);

uint32_t limit_table_count(const struct limit_table *table);

#endif
