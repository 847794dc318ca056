/* The producer's side of a spool (the broker plugin). One thread. */
#ifndef TALLY_SPOOL_SPOOL_PRODUCER_H
#define TALLY_SPOOL_SPOOL_PRODUCER_H

#include "core/kind.h"
#include "core/reason.h"
#include "spool/ring.h"
#include "spool/ring_producer.h"
#include "spool/spool.h"

#include <stddef.h>
#include <stdint.h>

/* The rings the producer wants. */
struct spool_producer_want {
    uint32_t shards;
    uint64_t ring_bytes; /* capacity of each */
    struct kind_table kinds;
    unsigned char fingerprint[RING_FINGERPRINT_BYTES];
};

/* Opens the spool as its producer, and makes it if it is absent (directory 0770, files 0660). Locks
 * byte 0 of `edge`, makes the FIFO, and continues each ring, or renames it and starts another (with
 * all of its space allocated). Returns the spool, or NULL with a clear sentence in `error`: cannot
 * be written, locked by another process, a different number of shards, not enough space. A shard
 * that already has SPOOL_OLD_MAX old rings gets no ring (it is busy); spool_producer_tend tries it
 * again. */
struct spool *spool_producer_open(const char *path, const struct spool_producer_want *want,
                                  char *error, size_t error_bytes);

/* The shard's ring, or NULL while it is missing. */
struct ring_producer *spool_producer_ring(struct spool *spool, uint32_t shard);

/* Call after appends. Wakes the collector if it is asleep, with one non-blocking write. */
void spool_producer_wake(struct spool *spool);

/* Housekeeping, outside the path of reactions. Starts another ring where one was asked for or is
 * missing, and populates pages ahead of the write positions. `note` receives sentences for the log
 * (empty if there is nothing to report). A lasting condition is reported once. */
void spool_producer_tend(struct spool *spool, char *note, size_t note_bytes);

/* Fields and counters of the edge file that only the producer changes. */
uint64_t *spool_producer_last_stamp(struct spool *spool);
uint64_t *spool_producer_late_counter(struct spool *spool);
void spool_producer_count_admitted(struct spool *spool);
void spool_producer_count_refused(struct spool *spool, enum reason reason);
void spool_producer_count_receipt_dropped(struct spool *spool);

#endif
