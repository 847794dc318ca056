/* A walk over the contents of a ring, for producer, consumer and recovery. Borrows the memory. Any
 * thread. */
#ifndef TALLY_SPOOL_RING_WALK_H
#define TALLY_SPOOL_RING_WALK_H

#include "core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_walk {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
};

/* Identifies the ring and loads its positions. Returns 0, or -1 with the error in `error`. */
int ring_walk_open(void *memory, uint64_t bytes, struct ring_walk *walk, uint64_t *read,
                   uint64_t *write, char *error, size_t error_bytes);

/* Reads the record or filler at `position`. Returns the position after it, or `position` itself if
 * nothing whole is there that ends before `end`. A filler leaves article_bytes 0. */
uint64_t ring_walk_step(const struct ring_walk *walk, uint64_t position, uint64_t end,
                        struct record *out);

/* Whether the header's positions are possible. */
bool ring_walk_positions_possible(uint64_t read, uint64_t write, uint64_t capacity_bytes);

/* Whether a record can be there at all: every record before it took at least the minimum size. */
bool ring_walk_record_possible(const struct record *record);

#endif
