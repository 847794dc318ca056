/* The ring of one shard in a piece of memory (FORMATS.md 4.2): its header. One producer
 * (ring_producer.h) and one consumer (ring_consumer.h) share it without a lock. No I/O, clock or
 * randomness, so the simulator runs this same code. */
#ifndef TALLY_SPOOL_RING_H
#define TALLY_SPOOL_RING_H

#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_VERSION 1u
#define RING_HEADER_BYTES 4096u
#define RING_BOOT_ID_BYTES 16
#define RING_FINGERPRINT_BYTES 8
#define RING_CAPACITY_MIN_BYTES 4096u
#define RING_CAPACITY_MAX_BYTES (1ull << 32)

/* The properties a ring is made with. A ring is continued only if all of them match, except ring_id
 * and made_ms. */
struct ring_identity {
    uint64_t capacity_bytes; /* multiple of 4,096 */
    uint32_t shard, shards;
    uint64_t ring_id; /* random, not 0 */
    unsigned char boot_id[RING_BOOT_ID_BYTES];
    unsigned char fingerprint[RING_FINGERPRINT_BYTES];
    uint64_t edge_id;
    uint64_t made_ms;
    struct kind_table kinds;
};

/* Writes a fresh header into `memory` (RING_HEADER_BYTES + capacity bytes, zeroed). */
void ring_format(void *memory, const struct ring_identity *identity);

/* Reads the header of `bytes` bytes at `memory` into `out`. Returns 0, or -1 with the error (magic,
 * version, size, CRC, bounds) in `error`. */
int ring_identify(const void *memory, uint64_t bytes, struct ring_identity *out, char *error,
                  size_t error_bytes);

/* --- positions and marks. Each has one side that sets it --- */

/* The write position (sequentially consistent load). */
uint64_t ring_write_position(const void *memory);

void ring_set_write_position(void *memory, uint64_t position); /* likewise: producer */

uint64_t ring_read_position(const void *memory);
void ring_set_read_position(void *memory, uint64_t position); /* consumer */
uint64_t ring_applied_position(const void *memory);
void ring_set_applied_position(void *memory, uint64_t position); /* consumer */

uint64_t ring_store_id(const void *memory); /* 0: this ring has not been applied to a store */
void ring_set_store_id(void *memory, uint64_t store_id);

/* The consumer asks for another ring (header field `rotate`), and whether it did. */
void ring_want_rotation(void *memory);
bool ring_rotation_wanted(const void *memory);

#endif
