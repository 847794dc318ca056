/* One ring on its way into Redis: takes batches, sends them, receives the answers, answers readers.
 * One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_PIPELINE_H
#define TALLY_COLLECTOR_PIPELINE_H

#include "receipt.h"
#include "session.h"
#include "source.h"
#include "status.h"

#include "spool/ring.h"
#include "spool/spool_consumer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all pipelines share; it outlives them. */
struct pipeline_shared {
    struct session *session;
    struct spool *spool;
    struct receipt_box *receipts;
    struct status_counts *counts;
    size_t batch_records;
    unsigned in_flight_max;
    bool *adopt; /* by shard: to be adopted with the next answer to the position's question */
    struct pipeline_pool *pool;
};

/* Batches, reused. NULL on no memory. */
struct pipeline_pool *pipeline_pool_new(size_t batch_records);
void pipeline_pool_free(struct pipeline_pool *pool);

struct pipeline;

/* Takes over `source`, but not its memory. NULL on no memory: the source is freed. */
struct pipeline *pipeline_new(const struct pipeline_shared *shared, struct source *source);

/* Requires that nothing is under way (pipeline_idle), or that the connection is gone. */
void pipeline_free(struct pipeline *pipeline);

struct source *pipeline_source(const struct pipeline *pipeline);
const char *pipeline_held(const struct pipeline *pipeline); /* why nothing is applied, "" */

/* Nothing of this pipeline is under way. */
bool pipeline_idle(const struct pipeline *pipeline);

/* In how many ms to pump the pipeline again because an audit has paused its shard; UINT64_MAX if it
 * is not paused. */
uint64_t pipeline_paused_ms(const struct pipeline *pipeline);

/* An old ring: all of it was applied. */
bool pipeline_drained(const struct pipeline *pipeline);

/* Does whatever is possible now: asks for the position, or sends batches. Call only while the
 * session is ready. */
void pipeline_pump(struct pipeline *pipeline);

/* Whether there is something to take. */
bool pipeline_has_more(const struct pipeline *pipeline);

/* Whether records are waiting, for a few ms at most, to be sent together with more. */
bool pipeline_gathers(const struct pipeline *pipeline);

#endif
