/* The producer's side of a ring (the broker plugin). Borrows the ring's memory. One thread. */
#ifndef TALLY_SPOOL_RING_PRODUCER_H
#define TALLY_SPOOL_RING_PRODUCER_H

#include "core/record.h"

#include <stddef.h>
#include <stdint.h>

struct ring_producer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t write, read_seen; /* read_seen: the consumer's position when last read, so that its
                                  line is seldom touched */
    uint64_t sequence;
};

/* Continues the ring: walks from read to write and checks every record. Returns 0, or -1 with the
 * error in `error`. After -1 the ring must be renamed and drained, and not written. */
int ring_producer_open(struct ring_producer *producer, void *memory, uint64_t bytes, char *error,
                       size_t error_bytes);

/* Appends a record (sets its position and sequence) and publishes the write position, sequentially
 * consistent. Returns 0, or -1 if the ring is full; nothing is then changed. No allocation, no
 * system call. */
int ring_producer_append(struct ring_producer *producer, struct record *record);

#endif
