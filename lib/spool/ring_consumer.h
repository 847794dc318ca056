/* The consumer's side of a ring (the collector). Borrows the ring's memory. One thread. */
#ifndef TALLY_SPOOL_RING_CONSUMER_H
#define TALLY_SPOOL_RING_CONSUMER_H

#include "core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_consumer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t read;       /* oldest kept */
    uint64_t next;       /* the position that ring_consumer_next reads next */
    uint64_t write_seen; /* the write position when last read, so that its line is seldom touched */
    uint64_t next_sequence; /* its sequence, once known */
    bool sequence_known;
};

/* Opens the ring at the read position. Returns 0, or -1 with the error in `error`. */
int ring_consumer_open(struct ring_consumer *consumer, void *memory, uint64_t bytes, char *error,
                       size_t error_bytes);

/* Takes the next record, as a view into the ring that is valid until ring_consumer_applied passes
 * it. Skips fillers. Returns 1; 0 when all records have been taken; or -1 when `next` does not hold
 * a whole record (damage: ask for a rotation and drain). Further calls then return -1 as well. */
int ring_consumer_next(struct ring_consumer *consumer, struct record *out);

/* Sets `next` to `position`, which must be the start of a record (or the write position) in [read,
 * write]. Returns 0, or -1. Walks from read, so it detects a position inside a record. */
int ring_consumer_seek(struct ring_consumer *consumer, uint64_t position);

/* Notes that Redis has applied everything up to `position`. Then frees whole records, oldest first,
 * while more than half of the capacity is in use and the records have been applied and taken. So a
 * ring that ever held a record always keeps one. Asks for a rotation if the oldest record was
 * damaged after it was taken, because nothing more could be freed. */
void ring_consumer_applied(struct ring_consumer *consumer, uint64_t position);

#endif
