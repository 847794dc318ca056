/* Questions about tally:store, one at a time: its fields, a script that changes them and answers
 * with them, and WAIT. One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_STORE_LOOK_H
#define TALLY_COLLECTOR_STORE_LOOK_H

#include "store.h"
#include "store_call.h"

#include "redis/redis_nodes.h"

#include <stdbool.h>
#include <stdint.h>

struct store_look;

struct store_look_config {
    struct redis_nodes *nodes;
    bool wait_optional; /* continues if WAIT is refused (replica_wait.h) */
    /* The store as it is now. `after_script`: as a script left it. */
    void (*on_found)(void *user, const struct store *found, bool after_script);
    /* A replica has what was written to the store found last. */
    void (*on_replicated)(void *user);
    /* Why it cannot be read, or is not replicated. Not called if the place moves: a
     * move is not an error. */
    void (*on_failed)(void *user, const char *why);
    void *user;
};

struct store_look *store_look_new(const struct store_look_config *config); /* NULL on no memory */

/* Call after the connections have ended: their end calls back what is under way. NULL is fine. */
void store_look_free(struct store_look *look);

/* A question has no answer yet. Ask only while that is not so. */
bool store_look_busy(const struct store_look *look);

/* How many questions were asked so far. The store found last is the answer to the last one before
 * on_found. */
uint64_t store_look_asked(const struct store_look *look);

/* When the fields were asked for last. */
uint64_t store_look_began_ms(const struct store_look *look);

/* Asks for the fields; while busy, after the answer, which may be outdated. */
void store_look_begin(struct store_look *look);

/* `keeps`: no failover may take back what it writes, so a replica must have it. */
void store_look_call(struct store_look *look, const struct store_call *call, bool keeps);

/* Returns whether it waits for a replica to have the write; on_replicated or on_failed then
 * follows. False: nothing was written, or there is no replica. */
bool store_look_replicate(struct store_look *look, unsigned replicas);

/* The place has another owner, or none: forgets the question under way. */
void store_look_reset(struct store_look *look);

#endif
