/* Packs and checks records: length, position, sequence, checksum, then the fields. */
#include "core/record.h"

#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/kind.h"
#include "core/stamp.h"

#include <string.h>

#define OFFSET_LENGTH 4u
#define OFFSET_ARTICLE_BYTES 6u
#define OFFSET_CLIENT_ID_BYTES 7u
#define OFFSET_POSITION 8u
#define OFFSET_SEQUENCE 16u
#define OFFSET_READER 24u
#define OFFSET_STAMP 32u
#define OFFSET_CORRELATION_BYTES 39u
#define STAMP_KIND_MASK ((1ull << 56) - 1)

_Static_assert(RECORD_HEAD_BYTES + ARTICLE_MAX_BYTES + RECORD_CLIENT_ID_MAX_BYTES +
                       RECORD_CORRELATION_MAX_BYTES ==
                   RECORD_MAX_BYTES,
               "the longest record");

static size_t aligned(size_t bytes)
{
    return (bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

size_t record_bytes(const struct record *record)
{
    return aligned((size_t)RECORD_HEAD_BYTES + record->article_bytes + record->client_id_bytes +
                   record->correlation_bytes);
}

/* The CRC of a record or filler of `bytes` bytes. It starts with the ring's id, so that a record of
 * another ring never passes. */
static uint32_t checksum(const unsigned char *in, size_t bytes, uint64_t ring_id)
{
    unsigned char seed[8];
    bytes_put_u64(seed, ring_id);
    return crc32c(crc32c(0, seed, sizeof seed), in + OFFSET_LENGTH, bytes - OFFSET_LENGTH);
}

void record_write(const struct record *record, uint64_t ring_id, unsigned char *out)
{
    size_t bytes = record_bytes(record);
    unsigned char *tail = out + RECORD_HEAD_BYTES;

    bytes_put_u16(out + OFFSET_LENGTH, (uint16_t)bytes);
    out[OFFSET_ARTICLE_BYTES] = record->article_bytes;
    out[OFFSET_CLIENT_ID_BYTES] = record->client_id_bytes;
    bytes_put_u64(out + OFFSET_POSITION, record->position);
    bytes_put_u64(out + OFFSET_SEQUENCE, record->sequence);
    bytes_put_u64(out + OFFSET_READER, record->reader);
    bytes_put_u64(out + OFFSET_STAMP,
                  record->stamp << 4 | record->kind | (uint64_t)record->correlation_bytes << 56);
    memcpy(tail, record->article, record->article_bytes);
    tail += record->article_bytes;
    if (record->client_id_bytes > 0)
        memcpy(tail, record->client_id, record->client_id_bytes);
    tail += record->client_id_bytes;
    if (record->correlation_bytes > 0)
        memcpy(tail, record->correlation, record->correlation_bytes);
    tail += record->correlation_bytes;
    memset(tail, 0, (size_t)(out + bytes - tail));
    bytes_put_u32(out, checksum(out, bytes, ring_id));
}

void record_write_filler(uint64_t position, uint64_t ring_id, unsigned char *out)
{
    bytes_put_u32(out + OFFSET_LENGTH, 0);
    bytes_put_u64(out + OFFSET_POSITION, position);
    bytes_put_u32(out, checksum(out, RECORD_FILLER_BYTES, ring_id));
}

uint64_t record_position(const unsigned char *in)
{
    return bytes_get_u64(in + OFFSET_POSITION);
}

static bool zero(const unsigned char *in, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (in[i] != 0)
            return false;
    return true;
}

/* Whether the lengths and the position fit each other and the space. Does not check the
 * checksum. */
static bool plausible(const unsigned char *in, size_t available, const struct record *record,
                      size_t bytes)
{
    return bytes <= available && bytes == record_bytes(record) && record->article_bytes > 0 &&
           record->article_bytes <= ARTICLE_MAX_BYTES &&
           record->client_id_bytes <= RECORD_CLIENT_ID_MAX_BYTES &&
           record->correlation_bytes <= RECORD_CORRELATION_MAX_BYTES &&
           record_position(in) == record->position;
}

size_t record_read(const unsigned char *in, size_t available, uint64_t position, uint64_t ring_id,
                   struct record *out)
{
    if (available < RECORD_FILLER_BYTES)
        return 0;
    memset(out, 0, sizeof *out);
    out->position = position;
    if (bytes_get_u32(in + OFFSET_LENGTH) == 0) {
        bool whole = record_position(in) == position &&
                     bytes_get_u32(in) == checksum(in, RECORD_FILLER_BYTES, ring_id);
        return whole ? RECORD_FILLER_BYTES : 0;
    }
    if (available < RECORD_MIN_BYTES)
        return 0;

    size_t bytes = bytes_get_u16(in + OFFSET_LENGTH);
    uint64_t stamp_kind = bytes_get_u64(in + OFFSET_STAMP);
    out->article_bytes = in[OFFSET_ARTICLE_BYTES];
    out->client_id_bytes = in[OFFSET_CLIENT_ID_BYTES];
    out->correlation_bytes = (uint8_t)(stamp_kind >> 56);
    if (!plausible(in, available, out, bytes) || bytes_get_u32(in) != checksum(in, bytes, ring_id))
        return 0;
    out->sequence = bytes_get_u64(in + OFFSET_SEQUENCE);
    out->reader = bytes_get_u64(in + OFFSET_READER);
    out->stamp = (stamp_kind & STAMP_KIND_MASK) >> 4;
    out->kind = (uint8_t)(stamp_kind & 15u);
    out->article = (const char *)in + RECORD_HEAD_BYTES;
    out->client_id = out->article + out->article_bytes;
    out->correlation = (const unsigned char *)out->client_id + out->client_id_bytes;
    const unsigned char *padding = out->correlation + out->correlation_bytes;
    return zero(padding, (size_t)(in + bytes - padding)) ? bytes : 0;
}
