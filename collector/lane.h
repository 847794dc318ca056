/* One ring on its way into Redis: takes batches, sends them, receives the answers, answers readers.
 * The only file that knows how register.lua is called. One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_LANE_H
#define TALLY_COLLECTOR_LANE_H

#include "receipt.h"
#include "session.h"
#include "source.h"
#include "status.h"

#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all lanes share; it outlives them. */
struct lane_shared {
    struct session *session;
    struct spool *spool;
    struct receipt_box *receipts;
    struct status_counts *counts;
    size_t batch_records;
    unsigned in_flight_max;
    struct lane_pool *pool;
};

/* Batches and argument vectors, reused. NULL on no memory. */
struct lane_pool *lane_pool_new(size_t batch_records);
void lane_pool_free(struct lane_pool *pool);

struct lane;

/* Takes over `source`, but not its memory. NULL on no memory: the source is freed. */
struct lane *lane_new(const struct lane_shared *shared, struct source *source);

/* Requires that nothing is under way (lane_idle), or that the connection is gone. */
void lane_free(struct lane *lane);

struct source *lane_source(const struct lane *lane);
const char *lane_held(const struct lane *lane); /* why nothing is applied, "" */

/* Nothing of this lane is under way. */
bool lane_idle(const struct lane *lane);

/* In how many ms to pump the lane again because an audit has paused its shard; UINT64_MAX if it is
 * not paused. */
uint64_t lane_paused_ms(const struct lane *lane);

/* An old ring: all of it was applied. */
bool lane_drained(const struct lane *lane);

/* Does whatever is possible now: asks for the position, or sends batches. Call only while the
 * session is ready. */
void lane_pump(struct lane *lane);

/* Whether there is something to take. */
bool lane_has_more(const struct lane *lane);

/* Whether records are waiting, for a few ms at most, to be sent together with more. */
bool lane_gathers(const struct lane *lane);

#endif
