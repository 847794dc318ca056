/* Lays any bytes out as a ring, and makes checksums fit, so that more than the first check of the
 * code is reached. */
#ifndef TALLY_TESTS_FUZZ_RING_LAYOUT_H
#define TALLY_TESTS_FUZZ_RING_LAYOUT_H

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/record.h"
#include "fuzz.h"
#include "spool/ring.h"

#define RING_CAPACITY 4096u
#define RING_BYTES (RING_HEADER_BYTES + RING_CAPACITY)
#define RING_CRC_AT 336u

enum ring_fit {
    RING_FORMATTED = 1,  /* begins as a whole ring, not as zeros */
    RING_FIT_HEADER = 2, /* the header's checksum fits, whatever it says */
    RING_FIT_RECORDS = 4 /* so does each record's, wherever one could begin */
};

static inline void ring_fit_records(unsigned char *memory)
{
    unsigned char seed[8];
    memcpy(seed, memory + 32, sizeof seed);
    for (size_t offset = 0; offset + RECORD_FILLER_BYTES <= RING_CAPACITY;) {
        unsigned char *in = memory + RING_HEADER_BYTES + offset;
        size_t length = bytes_get_u16(in + 4);
        if (length == 0 && bytes_get_u64(in + 8) != 0)
            length = RECORD_FILLER_BYTES;
        if (length < RECORD_FILLER_BYTES || length % RECORD_ALIGN != 0 ||
            length > RING_CAPACITY - offset) {
            offset += RECORD_ALIGN;
            continue;
        }
        bytes_put_u32(in, crc32c(crc32c(0, seed, sizeof seed), in + 4, length - 4));
        offset += length;
    }
}

/* The input is a list of patches: where (u16), how many bytes (u8), the bytes. */
static inline void ring_lay_out(unsigned char *memory, const struct ring_identity *identity,
                                unsigned fit, struct fuzz_input *in)
{
    memset(memory, 0, RING_BYTES);
    if (fit & RING_FORMATTED)
        ring_format(memory, identity);
    while (in->left > 0) {
        size_t at = fuzz_number(in, 2) % RING_BYTES, n = fuzz_number(in, 1);
        fuzz_take(in, memory + at, n < RING_BYTES - at ? n : RING_BYTES - at);
    }
    if (fit & RING_FIT_HEADER)
        bytes_put_u32(memory + RING_CRC_AT, crc32c(0, memory, RING_CRC_AT));
    if (fit & RING_FIT_RECORDS)
        ring_fit_records(memory);
}

static inline void ring_identity(struct ring_identity *identity)
{
    memset(identity, 0, sizeof *identity);
    identity->capacity_bytes = RING_CAPACITY;
    identity->shards = 1;
    identity->ring_id = 0x1122334455667788;
    identity->edge_id = 1;
    if (kind_table_parse(&identity->kinds, "like,angry", NULL, 0) != 0)
        abort();
}

#endif
