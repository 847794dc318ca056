/* A histogram of durations: 16 linear steps in each power of two, so a quantile is at most 1/16 too
 * long (after HdrHistogram's idea). Nothing is allocated; adding takes a few instructions. Pure. */
#ifndef TALLY_BENCH_LATENCY_H
#define TALLY_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS 16
#define LATENCY_BUCKETS ((64 - 3) * LATENCY_STEPS)

struct latency { /* zeroed is empty */
    uint64_t n;
    uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);

/* The upper end, in ns, of the bucket that contains the quantile (0 to 1); 0 if nothing
 * was added. */
uint64_t latency_quantile(const struct latency *latency, double quantile);

#endif
