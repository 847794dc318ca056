/* When to send the next of a fixed rate: evenly, by the time since the beginning, so that late
 * ones are made up for and nothing drifts. Pure. */
#ifndef TALLY_BENCH_PACE_H
#define TALLY_BENCH_PACE_H

#include <stdint.h>

#define PACE_MAX_RATE 1000000           /* a second */
#define PACE_MAX_NS (UINT64_C(1) << 53) /* over a hundred days */

/* How many are due `elapsed_ns` (at most PACE_MAX_NS) after the beginning, at 1 to PACE_MAX_RATE a
 * second: the first at once. */
uint64_t pace_due(uint64_t rate, uint64_t elapsed_ns);

/* Nanoseconds from `elapsed_ns` on until one more than `sent` is due; 0 where it is. */
uint64_t pace_wait_ns(uint64_t rate, uint64_t elapsed_ns, uint64_t sent);

#endif
