/* Stamps: ms since 2024-01-01T00:00:00Z × 2048 + counter, 52 bits (INTERFACES.md 1, DESIGN
 * "Stamps"). Time is an argument. Pure; the caller serialises access to `last` and `late`. */
#ifndef TALLY_CORE_STAMP_H
#define TALLY_CORE_STAMP_H

#include <stdint.h>

#define STAMP_EPOCH_UNIX_MS 1704067200000ull
#define STAMP_COUNTER_BITS 11
#define STAMP_COUNTS 2048u
#define STAMP_MAX ((1ull << 52) - 1)
#define STAMP_AHEAD_MAX_MS 2000u

/* The admission clock: max(*last + 1, now × 2048). *last counts only up to STAMP_AHEAD_MAX_MS ahead
 * of now, so a clock that was set back further starts again from now. Stores the result in *last.
 * unix_ms before 2024 counts as 2024. */
uint64_t stamp_next(uint64_t *last, uint64_t unix_ms);

/* A late or repeated request: (now − age) × 2048 + *late mod 2048. Increments the running counter
 * *late. Does not change the admission clock. For age 0, use stamp_next. */
uint64_t stamp_late(uint64_t *late, uint64_t unix_ms, uint32_t age_ms);

/* Unix milliseconds of a stamp. */
uint64_t stamp_unix_ms(uint64_t stamp);

#endif
