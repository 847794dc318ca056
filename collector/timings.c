/* The bounds of the histograms, and what is measured. */
#include "timings.h"

#include "core/stamp.h"

#define N(bounds) (sizeof(bounds) / sizeof(bounds)[0])

/* batch_records may be 4,000. */
static const double reaction_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000};
/* A call of 1,000 votes takes 3 to 5 ms; one of a hanging node ends with its connection. */
static const double call_bounds_s[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                       0.1,    0.25,  0.5,    1,     2.5,  5};
/* A reaction gathers for up to 40 ms; it waits in the spool while Redis is away. */
static const double counted_bounds_s[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                          1,     2.5,  5,     10,   30,  60,   300};

void timings_init(struct timings *timings)
{
    histogram_init(&timings->batch_reactions, reaction_bounds, N(reaction_bounds));
    histogram_init(&timings->call_s, call_bounds_s, N(call_bounds_s));
    histogram_init(&timings->counted_s, counted_bounds_s, N(counted_bounds_s));
}

void timings_called(struct timings *timings, uint64_t call_ns)
{
    histogram_add(&timings->call_s, (double)call_ns / 1e9);
}

void timings_applied(struct timings *timings, const struct batch *batch, uint64_t unix_ms)
{
    size_t records = batch_range(batch)->records;
    histogram_add(&timings->batch_reactions, (double)records);
    for (size_t i = 0; i < records; i++) {
        uint64_t stamped_ms = stamp_unix_ms(batch_record(batch, i)->stamp);
        /* A stamp may be ahead of the clock by up to STAMP_AHEAD_MAX_MS. */
        histogram_add(&timings->counted_s, ((double)unix_ms - (double)stamped_ms) / 1000);
    }
}
