/* An article's total, from its head and base (FORMATS.md 5.1). Pure; any thread. */
#ifndef TALLY_CORE_TOTAL_H
#define TALLY_CORE_TOTAL_H

#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTAL_HEAD_MAX_BYTES 128
#define TOTAL_TIME_BYTES 32

struct total {
    uint64_t version;            /* µs since 1970; 0: never changed */
    uint32_t voters;             /* registers, `none` included */
    uint64_t floor;              /* stamp; 0 none */
    bool forgotten;              /* hidden until somebody reacts */
    int64_t count[KIND_MAX + 1]; /* by the store's kind id; [0] unused */
};

/* Parses a head. Returns 0, or -1 if it is not a valid head of format 1 (wrong length, unknown
 * flag, impossible level or split position, kind ids that are impossible or do not rise). */
int total_parse_head(struct total *total, const void *head, size_t bytes);

/* Adds a base to a total. Returns 0, or -1 and leaves the total unchanged. */
int total_add_base(struct total *total, const void *base, size_t bytes);

/* Σ counts. */
int64_t total_sum(const struct total *total);

/* A version as a time (INTERFACES.md 2.2): "2026-11-24T09:00:00.123Z". */
void total_time(uint64_t version, char out[TOTAL_TIME_BYTES]);

#endif
