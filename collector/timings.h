/* How long reactions and calls take, and how large batches are, as histograms since the start
 * (DESIGN, metrics). Time is an argument. Pure; one thread. */
#ifndef TALLY_COLLECTOR_TIMINGS_H
#define TALLY_COLLECTOR_TIMINGS_H

#include "batch.h"

#include "core/histogram.h"

#include <stdint.h>

struct timings {
    struct histogram batch_reactions; /* of each applied batch */
    struct histogram call_s;          /* from a batch to Redis's answer, whatever it says */
    struct histogram counted_s;       /* from a reaction's stamp until Redis has counted it */
};

void timings_init(struct timings *timings);

/* Redis answered a call after so long. */
void timings_called(struct timings *timings, uint64_t call_ns);

/* Redis has applied the batch. Its records are still valid. */
void timings_applied(struct timings *timings, const struct batch *batch, uint64_t unix_ms);

#endif
