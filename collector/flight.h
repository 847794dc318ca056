/* Batches under way. They are reused. One thread. */
#ifndef TALLY_COLLECTOR_FLIGHT_H
#define TALLY_COLLECTOR_FLIGHT_H

#include "batch.h"

#include <stddef.h>
#include <stdint.h>

struct pipeline;

struct flight {
    struct pipeline *pipeline; /* whose batch it is */
    struct batch *batch;
    uint64_t sent_ns;    /* clock_monotonic_ns */
    struct flight *next; /* in the pool */
};

struct flight_pool;

/* NULL on no memory. All flights must be back before it is freed. */
struct flight_pool *flight_pool_new(size_t batch_records);
void flight_pool_free(struct flight_pool *pool);

/* NULL on no memory. */
struct flight *flight_take(struct flight_pool *pool, struct pipeline *pipeline);
void flight_give(struct flight_pool *pool, struct flight *flight);

#endif
