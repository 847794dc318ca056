/* One ring on its way into Redis: takes batches, sends them, receives the answers, answers readers.
 * One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_PIPELINE_H
#define TALLY_COLLECTOR_PIPELINE_H

#include "receipt.h"
#include "session.h"
#include "source.h"
#include "status.h"
#include "timings.h"

#include "core/gather.h"
#include "spool/ring.h"
#include "spool/spool_consumer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPELINE_GATHER_MAX_MS 40 /* a reaction waits for others at most */

/* What all pipelines share; it outlives them. */
struct pipeline_shared {
    struct session *session;
    struct spool *spool;
    struct receipt_box *receipts;
    struct status_counts *counts;
    struct timings *timings;
    size_t batch_records;
    unsigned in_flight_max;
    struct gather_load *gather_load; /* the calls of all rings */
    unsigned gather_phase_ms; /* when the calls of all rings meet: up to PIPELINE_GATHER_MAX_MS */
    struct flight_pool *pool;
};

struct pipeline;

/* Takes over `source`, but not its memory. NULL on no memory: the source is freed. */
struct pipeline *pipeline_new(const struct pipeline_shared *shared, struct source *source);

/* Requires that nothing is under way (pipeline_idle), or that the connection is gone. */
void pipeline_free(struct pipeline *pipeline);

struct source *pipeline_source(const struct pipeline *pipeline);
const char *pipeline_held(const struct pipeline *pipeline); /* why nothing is applied, "" */

/* Nothing of this pipeline is under way. */
bool pipeline_idle(const struct pipeline *pipeline);

/* A batch was sent this long ago and is not answered: its node may be hanging. */
bool pipeline_late(const struct pipeline *pipeline, uint64_t now_ms);

/* In how many ms to pump the pipeline again because an audit has paused its shard; UINT64_MAX if it
 * is not paused, or the shard is not ready. */
uint64_t pipeline_paused_ms(const struct pipeline *pipeline);

/* An old ring: all of it was applied, and a replica has it where that is asked for. */
bool pipeline_drained(const struct pipeline *pipeline);

/* Does whatever is possible now: asks for the position, or sends batches. Does nothing while the
 * shard is not ready. */
void pipeline_pump(struct pipeline *pipeline);

/* Whether there is something to take that need not wait for an answer, and its shard is ready. */
bool pipeline_has_more(const struct pipeline *pipeline);

/* Whether records are waiting, for a few ms at most, to be sent together with more. */
bool pipeline_gathers(const struct pipeline *pipeline);

#endif
