/* The ring of one shard in a piece of memory (FORMATS.md 4.2): one producer, one consumer, no lock.
 * No I/O, clock or randomness, so the simulator runs this same code. One idea comes from
 * beanstalkd's walg.c: space is reserved before a record is written. */
#ifndef TALLY_SPOOL_SPOOL_H
#define TALLY_SPOOL_SPOOL_H

#include "core/kind.h"
#include "core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_VERSION 1u
#define SPOOL_HEADER_BYTES 4096u
#define SPOOL_BOOT_ID_BYTES 16
#define SPOOL_FINGERPRINT_BYTES 8
#define SPOOL_CAPACITY_MIN_BYTES 4096u
#define SPOOL_CAPACITY_MAX_BYTES (1ull << 32)

/* The properties a ring is made with. A ring is continued only if all of them match, except ring_id
 * and made_ms. */
struct spool_identity {
    uint64_t capacity_bytes; /* multiple of 4,096 */
    uint32_t shard, shards;
    uint64_t ring_id; /* random, not 0 */
    unsigned char boot_id[SPOOL_BOOT_ID_BYTES];
    unsigned char fingerprint[SPOOL_FINGERPRINT_BYTES];
    uint64_t edge_id;
    uint64_t made_ms;
    struct kind_table kinds;
};

/* Writes a fresh header into `memory` (SPOOL_HEADER_BYTES + capacity bytes, zeroed). */
void spool_format(void *memory, const struct spool_identity *identity);

/* Reads the header of `bytes` bytes at `memory` into `out`. Returns 0, or -1 with the error (magic,
 * version, size, CRC, bounds) in `error`. */
int spool_identify(const void *memory, uint64_t bytes, struct spool_identity *out, char *error,
                   size_t error_bytes);

/* --- producer: the broker plugin. One thread. --- */
struct spool_producer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t write, read_seen; /* read_seen: the consumer's position when last read, so that its
                                  line is seldom touched */
    uint64_t sequence;
};

/* Continues the ring: walks from read to write and checks every record. Returns 0, or -1 with the
 * error in `error`. After -1 the ring must be renamed and drained, and not written. */
int spool_producer_open(struct spool_producer *producer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes);

/* Appends a record (sets its position and sequence) and publishes the write position, sequentially
 * consistent. Returns 0, or -1 if the ring is full; nothing is then changed. No allocation, no
 * system call. */
int spool_append(struct spool_producer *producer, struct record *record);

/* Whether the consumer asked for another ring (header field `rotate`). */
bool spool_rotate_wanted(const void *memory);

/* --- consumer: the collector. One thread. --- */
struct spool_consumer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t read;       /* oldest kept */
    uint64_t next;       /* the position that spool_take reads next */
    uint64_t write_seen; /* the write position when last read, so that its line is seldom touched */
    uint64_t next_sequence; /* its sequence, once known */
    bool sequence_known;
};

/* Opens the ring at the read position. Returns 0, or -1 with the error in `error`. */
int spool_consumer_open(struct spool_consumer *consumer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes);

/* The write position (sequentially consistent load). */
uint64_t spool_write_position(const void *memory);

/* Takes the next record, as a view into the ring that is valid until spool_applied passes it. Skips
 * fillers. Returns 1; 0 when all records have been taken; or -1 when `next` does not hold a whole
 * record (damage: ask for a rotation and drain). Further calls then return -1 as well. */
int spool_take(struct spool_consumer *consumer, struct record *out);

/* Sets `next` to `position`, which must be the start of a record (or the write position) in [read,
 * write]. Returns 0, or -1. Walks from read, so it detects a position inside a record. */
int spool_seek(struct spool_consumer *consumer, uint64_t position);

/* Notes that Redis has applied everything up to `position`. Then frees whole records, oldest first,
 * while more than half of the capacity is in use and the records have been applied and taken. So a
 * ring that ever held a record always keeps one. Asks for a rotation if the oldest record was
 * damaged after it was taken, because nothing more could be freed. */
void spool_applied(struct spool_consumer *consumer, uint64_t position);

uint64_t spool_applied_position(const void *memory);
uint64_t spool_read_position(const void *memory);
uint64_t spool_store_id(const void *memory); /* 0: this ring has not been applied to a store */
void spool_set_store_id(void *memory, uint64_t store_id);
void spool_want_rotation(void *memory);

/* --- recovery: a ring that is not written any more --- */

/* Called for each whole record, in order of position. Return 0 to go on. Any other value ends the
 * scan, which returns it. */
typedef int (*spool_scan_fn)(void *user, const struct record *record);

struct spool_scan {
    uint64_t records; /* whole records */
    /* The least number of records known to be lost: sequences missing between whole records (the
     * exact number), plus one for each end at which the header's positions claim more than the scan
     * found (the exact number if the ring's first record is missing). */
    uint64_t damaged;
    uint64_t oldest,
        end; /* positions: first whole record, end of the last one; both 0 if there are none */
    uint64_t oldest_sequence, end_sequence; /* of the oldest; the next after the last */
};

/* Finds every whole record in the data by trying each aligned offset. It ignores the header's
 * positions, because after a power loss any page may be older than another. It keeps the records
 * within one capacity of the newest and calls `fn` (may be NULL) for each in order of position.
 * `out` may be NULL; if fn ends the scan, `out` describes the part already scanned. Allocates
 * nothing and reads the data twice. Returns 0, fn's result, or -1 if the header is damaged: without
 * the ring's id a record cannot be told from noise. */
int spool_scan(const void *memory, uint64_t bytes, spool_scan_fn fn, void *user,
               struct spool_scan *out);

#endif
