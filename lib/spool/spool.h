/* The ring of one shard over a piece of memory (FORMATS.md 4.2): one producer, one consumer, no
 * lock. No I/O, clock or randomness: the simulator runs this very code. After beanstalkd's walg.c
 * in one thing: space is there before a record is written. */
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

/* What a ring is made for; all of it must fit for a ring to be continued, but ring_id and made_ms.
 */
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

/* Reads the header of `bytes` bytes at `memory` into `out`. Returns 0, or -1 with what is wrong in
 * `error` (magic, version, size, CRC, bounds). */
int spool_identify(const void *memory, uint64_t bytes, struct spool_identity *out, char *error,
                   size_t error_bytes);

/* --- producer: the broker plugin. One thread. --- */
struct spool_producer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t write, read_seen; /* read_seen: the consumer's position as last looked at, so that its
                                  line is seldom touched */
    uint64_t sequence;
};

/* Continues the ring: walks from read to write and checks every record. Returns 0, or -1 with what
 * is wrong in `error`: then the ring must be renamed and drained, not written. */
int spool_producer_open(struct spool_producer *producer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes);

/* Appends a record (its position and sequence are set here) and publishes the write position,
 * sequentially consistent. Returns 0, or -1 when the ring is full: nothing was changed. No
 * allocation, no system call. */
int spool_append(struct spool_producer *producer, struct record *record);

/* Whether the consumer asked for another ring (header field `rotate`). */
bool spool_rotate_wanted(const void *memory);

/* --- consumer: the collector. One thread. --- */
struct spool_consumer {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
    uint64_t read; /* oldest kept */
    uint64_t next; /* the position that spool_take looks at next */
    uint64_t
        write_seen; /* the write position as last looked at, so that its line is seldom touched */
    uint64_t next_sequence; /* its sequence, once known */
    bool sequence_known;
};

/* Opens at the read position. Returns 0, or -1 with what is wrong in `error`. */
int spool_consumer_open(struct spool_consumer *consumer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes);

/* The write position (sequentially consistent load). */
uint64_t spool_write_position(const void *memory);

/* The next record, as a view into the ring that holds until spool_applied goes past it. Fillers are
 * skipped. Returns 1, 0 when all was taken, or -1 when what stands at `next` is no whole record
 * (damage: ask for a rotation and drain); it then goes on saying so. */
int spool_take(struct spool_consumer *consumer, struct record *out);

/* Sets `next` to `position`, which must be a record's beginning (or the write position) in [read,
 * write]. Returns 0, or -1. Walks from read, so that a position in the middle of a record is found
 * out. */
int spool_seek(struct spool_consumer *consumer, uint64_t position);

/* Notes that Redis has applied up to `position`, and frees whole records from the oldest on while
 * more than half of the capacity is in use and they are applied and taken. So a ring that ever held
 * a record keeps one. Asks for a rotation where the oldest was damaged since it was taken, as
 * nothing more could be freed then. */
void spool_applied(struct spool_consumer *consumer, uint64_t position);

uint64_t spool_applied_position(const void *memory);
uint64_t spool_read_position(const void *memory);
uint64_t spool_store_id(const void *memory); /* 0: this ring has applied to no store */
void spool_set_store_id(void *memory, uint64_t store_id);
void spool_want_rotation(void *memory);

/* --- recovery: a ring that nobody writes any more --- */

/* Called for each whole record, in the order of their positions. Returns 0 to go on, anything else
 * ends the scan with it. */
typedef int (*spool_scan_fn)(void *user, const struct record *record);

struct spool_scan {
    uint64_t records; /* whole */
    /* What is known to be lost, at least: sequences missing between whole records (their exact
     * number), and one for each end where the header's positions claim more than was found (their
     * exact number where the ring's first record is missing). */
    uint64_t damaged;
    uint64_t oldest,
        end; /* positions: first whole record, after the last one; both 0 where there is none */
    uint64_t oldest_sequence, end_sequence; /* of the oldest; after the last one */
};

/* Finds every whole record in the data by trying each aligned offset, whatever the header's
 * positions say (after a power loss any page may be older than another), keeps those within one
 * capacity of the newest, and calls `fn` (may be NULL) for each in order of position. `out` may be
 * NULL; where fn ended the scan, it tells how far that came. Allocates nothing and reads the data
 * twice. Returns 0, what fn returned, or -1 where the header is damaged: without the ring's id no
 * record can be told from noise. */
int spool_scan(const void *memory, uint64_t bytes, spool_scan_fn fn, void *user,
               struct spool_scan *out);

#endif
