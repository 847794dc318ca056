/* The pool grows to the number of batches that are under way at a time. */
#include "flight.h"

#include "register_call.h"

#include <stdlib.h>

struct flight_pool {
    size_t batch_records;
    struct flight *free;
};

struct flight_pool *flight_pool_new(size_t batch_records)
{
    struct flight_pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL)
        pool->batch_records = batch_records;
    return pool;
}

void flight_pool_free(struct flight_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->free != NULL) {
        struct flight *flight = pool->free;
        pool->free = flight->next;
        batch_free(flight->batch);
        free(flight);
    }
    free(pool);
}

struct flight *flight_take(struct flight_pool *pool, struct pipeline *pipeline)
{
    struct flight *flight = pool->free;
    if (flight != NULL) {
        pool->free = flight->next;
    } else {
        flight = calloc(1, sizeof *flight);
        if (flight == NULL)
            return NULL;
        flight->batch = batch_new(pool->batch_records, REGISTER_CALL_FIXED);
        if (flight->batch == NULL) {
            free(flight);
            return NULL;
        }
    }
    flight->pipeline = pipeline;
    return flight;
}

void flight_give(struct flight_pool *pool, struct flight *flight)
{
    flight->next = pool->free;
    pool->free = flight;
}
