/* Token buckets: a bucket is one number, the time at which it will be full again. */
#include "core/limit.h"

#include "core/slots.h"

#include <stdlib.h>

struct limit_rate limit_rate_of(uint64_t tokens, uint64_t period_ns, uint64_t burst)
{
    return (struct limit_rate){.interval_ns = period_ns / tokens, .burst = burst};
}

/* A fully used bucket, with as much owed again. */
static uint64_t most_ns(const struct limit_rate *rate)
{
    return 2 * rate->interval_ns * rate->burst;
}

/* How much of the bucket is used. More than the maximum is impossible: then the clock was set
 * back. */
static uint64_t used_ns(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns)
{
    return bucket <= now_ns || bucket - now_ns > most_ns(rate) ? 0 : bucket - now_ns;
}

bool limit_left(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns)
{
    return used_ns(rate, bucket, now_ns) <= rate->interval_ns * (rate->burst - 1);
}

uint64_t limit_taken(const struct limit_rate *rate, uint64_t bucket, uint64_t now_ns)
{
    return now_ns + used_ns(rate, bucket, now_ns) + rate->interval_ns;
}

uint64_t limit_charged(const struct limit_rate *rate, uint64_t bucket, uint64_t n, uint64_t now_ns)
{
    uint64_t after_ns = used_ns(rate, bucket, now_ns) + n * rate->interval_ns;
    return now_ns + (after_ns < most_ns(rate) ? after_ns : most_ns(rate));
}

struct limit_table {
    struct limit_rate rate;
    struct slots *slots;
    uint64_t *buckets; /* by slot */
};

struct limit_table *limit_table_new(uint32_t max, const struct limit_rate *rate, uint64_t seed)
{
    struct limit_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->rate = *rate;
    table->slots = slots_new(max, seed);
    table->buckets = calloc(max, sizeof *table->buckets);
    if (table->slots == NULL || table->buckets == NULL) {
        limit_table_free(table);
        return NULL;
    }
    return table;
}

void limit_table_free(struct limit_table *table)
{
    if (table == NULL)
        return;
    slots_free(table->slots);
    free(table->buckets);
    free(table);
}

uint64_t *limit_table_bucket(struct limit_table *table, uint64_t key)
{
    uint32_t slot = slots_find(table->slots, key);
    if (slot == SLOTS_NONE) {
        slot = slots_add(table->slots, key);
        table->buckets[slot] = 0;
    } else {
        slots_touch(table->slots, slot);
    }
    return &table->buckets[slot];
}

bool limit_table_left(const struct limit_table *table, const uint64_t *bucket, uint64_t now_ns)
{
    return limit_left(&table->rate, *bucket, now_ns);
}

void limit_table_take(const struct limit_table *table, uint64_t *bucket, uint64_t now_ns)
{
    *bucket = limit_taken(&table->rate, *bucket, now_ns);
}

void limit_table_charge(const struct limit_table *table, uint64_t *bucket, uint64_t n,
                        uint64_t now_ns)
{
    *bucket = limit_charged(&table->rate, *bucket, n, now_ns);
}

uint32_t limit_table_count(const struct limit_table *table)
{
    return slots_count(table->slots);
}
