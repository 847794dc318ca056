/* One admitted reaction as a ring stores it (FORMATS.md 4.3). Pure; any thread. */
#ifndef TALLY_CORE_RECORD_H
#define TALLY_CORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_ALIGN 16u
#define RECORD_HEAD_BYTES 40u
#define RECORD_FILLER_BYTES 16u
#define RECORD_MIN_BYTES 48u
#define RECORD_MAX_BYTES 432u
#define RECORD_CLIENT_ID_MAX_BYTES 128u
#define RECORD_CORRELATION_MAX_BYTES 64u

/* A view: the pointers refer to the caller's memory or to the ring, and are not NUL-terminated. */
struct record {
    uint64_t position;
    uint64_t sequence;
    uint64_t reader;
    uint64_t stamp;
    uint8_t kind; /* index in the ring's kind table, 0 none */
    uint8_t article_bytes;
    uint8_t client_id_bytes; /* 0: no receipt wanted */
    uint8_t correlation_bytes;
    const char *article;
    const char *client_id;
    const unsigned char *correlation;
};

/* The record's size in a ring, in bytes: a multiple of RECORD_ALIGN. */
size_t record_bytes(const struct record *record);

/* Writes record_bytes() bytes to `out`, for the ring with this id. */
void record_write(const struct record *record, uint64_t ring_id, unsigned char *out);

/* Writes a filler of RECORD_FILLER_BYTES for `position`. */
void record_write_filler(uint64_t position, uint64_t ring_id, unsigned char *out);

/* Reads the record or filler at `position`, with `available` bytes up to the end of the data.
 * Returns the record's length; RECORD_FILLER_BYTES, with article_bytes 0, for a filler; or 0 if a
 * whole record of this ring and position is not there (checks length, bounds, position, CRC, zero
 * padding). */
size_t record_read(const unsigned char *in, size_t available, uint64_t position, uint64_t ring_id,
                   struct record *out);

/* The position that the record or filler at `in` (at least RECORD_FILLER_BYTES) claims. Checks
 * nothing. */
uint64_t record_position(const unsigned char *in);

#endif
