/* record_read on any bytes, as they come and with a checksum that fits; what it accepts is written
 * again byte by byte the same, and what is written is read again the same, but not with a bit
 * changed. */
#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/record.h"
#include "fuzz.h"

static void fit_checksum(unsigned char *in, size_t bytes, uint64_t ring_id)
{
    unsigned char seed[8];
    size_t length = bytes >= 6 ? bytes_get_u16(in + 4) : 0;
    if (length == 0)
        length = RECORD_FILLER_BYTES;
    if (length < RECORD_FILLER_BYTES || length > bytes)
        return;
    bytes_put_u64(seed, ring_id);
    bytes_put_u32(in, crc32c(crc32c(0, seed, sizeof seed), in + 4, length - 4));
}

/* Reads `bytes` bytes at `in`. Whatever is accepted must be what record_write writes. */
static void check_read(const unsigned char *in, size_t bytes, uint64_t position, uint64_t ring_id)
{
    unsigned char again[RECORD_MAX_BYTES];
    struct record record;
    size_t length = record_read(in, bytes, position, ring_id, &record);
    FUZZ_CHECK(length <= bytes && length <= RECORD_MAX_BYTES && length % RECORD_ALIGN == 0);
    if (length == 0)
        return;
    FUZZ_CHECK(record.position == position && record_position(in) == position);
    if (record.article_bytes == 0) {
        FUZZ_CHECK(length == RECORD_FILLER_BYTES);
        memset(again, 0, sizeof again);
        record_write_filler(position, ring_id, again);
    } else {
        FUZZ_CHECK(length >= RECORD_MIN_BYTES && record.article_bytes <= ARTICLE_MAX_BYTES &&
                   record.client_id_bytes <= RECORD_CLIENT_ID_MAX_BYTES &&
                   record.correlation_bytes <= RECORD_CORRELATION_MAX_BYTES && record.kind <= 15);
        const char *end = (const char *)in + length;
        FUZZ_CHECK(record.article == (const char *)in + RECORD_HEAD_BYTES &&
                   (const char *)record.correlation + record.correlation_bytes <= end);
        FUZZ_CHECK(record_bytes(&record) == length);
        record_write(&record, ring_id, again);
    }
    FUZZ_CHECK(memcmp(in, again, length) == 0);
    FUZZ_CHECK(record_read(in, bytes, position, ring_id ^ 1, &record) == 0);
    FUZZ_CHECK(record_read(in, length - 1, position, ring_id, &record) == 0);
}

/* A record made of the input. */
static void check_write(struct fuzz_input in, uint64_t position, uint64_t ring_id)
{
    unsigned char out[RECORD_MAX_BYTES], text[UINT8_MAX + 1] = {0};
    struct record got,
        record = {
            .position = position,
            .sequence = fuzz_number(&in, 8),
            .reader = fuzz_number(&in, 8),
            .stamp = fuzz_number(&in, 8) & ((1ull << 52) - 1),
            .kind = (uint8_t)(fuzz_number(&in, 1) & 15),
            .article_bytes = (uint8_t)(1 + fuzz_number(&in, 1) % ARTICLE_MAX_BYTES),
            .client_id_bytes = (uint8_t)(fuzz_number(&in, 1) % (RECORD_CLIENT_ID_MAX_BYTES + 1)),
            .correlation_bytes =
                (uint8_t)(fuzz_number(&in, 1) % (RECORD_CORRELATION_MAX_BYTES + 1)),
            .article = (const char *)text,
            .client_id = (const char *)text,
            .correlation = text,
        };
    uint64_t flip = fuzz_number(&in, 2);
    fuzz_take(&in, text, sizeof text);
    size_t bytes = record_bytes(&record);
    record_write(&record, ring_id, out);
    FUZZ_CHECK(record_read(out, bytes, position, ring_id, &got) == bytes);
    FUZZ_CHECK(got.sequence == record.sequence && got.reader == record.reader &&
               got.stamp == record.stamp && got.kind == record.kind &&
               got.article_bytes == record.article_bytes &&
               memcmp(got.article, text, got.article_bytes) == 0 &&
               got.client_id_bytes == record.client_id_bytes &&
               memcmp(got.client_id, text, got.client_id_bytes) == 0 &&
               got.correlation_bytes == record.correlation_bytes &&
               memcmp(got.correlation, text, got.correlation_bytes) == 0);
    out[flip / 8 % bytes] ^= (unsigned char)(1u << flip % 8);
    FUZZ_CHECK(record_read(out, bytes, position, ring_id, &got) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    uint64_t ring_id = fuzz_number(&in, 8), position = fuzz_number(&in, 8);
    check_read(in.at, in.left, position, ring_id);
    check_write(in, position, ring_id);
    if (in.left == 0)
        return 0;
    unsigned char *fitted =
        malloc(in.left); /* a separate block, so that ASan sees a read beyond it */
    if (fitted == NULL)
        abort();
    memcpy(fitted, in.at, in.left);
    fit_checksum(fitted, in.left, ring_id);
    check_read(fitted, in.left, position, ring_id);
    free(fitted);
    return 0;
}
