/* A ring in memory of exactly its size, and records whose every byte follows from their number.
 * Include after unit.h. */
#ifndef TALLY_TESTS_TEST_RING_H
#define TALLY_TESTS_TEST_RING_H

#include "core/bytes.h"
#include "spool/ring.h"
#include "spool/ring_consumer.h"
#include "spool/ring_producer.h"

#define RING_ID 0x1122334455667788u
#define RING_WRITE 512u
#define RING_READ 640u
#define RING_APPLIED 648u

struct test_ring {
    unsigned char *memory;
    uint64_t bytes, capacity;
};

static inline struct ring_identity test_ring_identity(uint64_t capacity)
{
    struct ring_identity identity = {
        .capacity_bytes = capacity, .shard = 3, .shards = 8, .ring_id = RING_ID, .edge_id = 99};
    assert_int_equal(kind_table_parse(&identity.kinds, "like,dislike,angry", NULL, 0), 0);
    return identity;
}

static inline struct test_ring test_ring_new(uint64_t capacity)
{
    struct ring_identity identity = test_ring_identity(capacity);
    struct test_ring ring = {.bytes = RING_HEADER_BYTES + capacity, .capacity = capacity};
    ring.memory = calloc(1, ring.bytes);
    assert_non_null(ring.memory);
    ring_format(ring.memory, &identity);
    return ring;
}

static inline void test_ring_free(struct test_ring *ring)
{
    free(ring->memory);
}

static inline unsigned char *test_ring_data(const struct test_ring *ring)
{
    return ring->memory + RING_HEADER_BYTES;
}

static inline struct ring_producer test_ring_producer(const struct test_ring *ring)
{
    struct ring_producer producer;
    char error[200] = "";
    require(ring_producer_open(&producer, ring->memory, ring->bytes, error, sizeof error) == 0,
            "%s", error);
    return producer;
}

static inline struct ring_consumer test_ring_consumer(const struct test_ring *ring)
{
    struct ring_consumer consumer;
    char error[200] = "";
    require(ring_consumer_open(&consumer, ring->memory, ring->bytes, error, sizeof error) == 0,
            "%s", error);
    return consumer;
}

/* Record number n of a run. */
struct test_ring_text {
    unsigned char bytes[RECORD_MAX_BYTES];
};

static inline struct record test_ring_record(uint64_t n, uint64_t seed, struct test_ring_text *text)
{
    uint64_t random = seed * 1000003u + n;
    for (size_t i = 0; i < sizeof text->bytes; i += 8)
        bytes_put_u64(text->bytes + i, unit_random(&random));
    uint64_t shape = unit_random(&random);
    struct record record = {
        .reader = unit_random(&random),
        .stamp = unit_random(&random) >> 12,
        .kind = shape & 15u,
        .article_bytes = (uint8_t)(1 + (shape >> 4) % 200),
        .client_id_bytes = (uint8_t)(shape >> 12 & 1u ? (shape >> 13) % 129 : 0),
        .correlation_bytes = (uint8_t)(shape >> 21 & 1u ? (shape >> 22) % 65 : 0),
        .article = (const char *)text->bytes,
        .client_id = (const char *)text->bytes + 200,
        .correlation = text->bytes + 328,
    };
    if (shape >> 40 & 3u) /* most are as plain as most are */
        record.article_bytes = (uint8_t)(1 + record.article_bytes % 24);
    return record;
}

/* A plain one of 64 bytes. */
static inline struct record test_ring_plain(uint64_t n, struct test_ring_text *text)
{
    struct record record = test_ring_record(n, 0, text);
    record.article_bytes = 24;
    record.client_id_bytes = 0;
    record.correlation_bytes = 0;
    return record;
}

static inline bool test_ring_same(const struct record *a, const struct record *b)
{
    return a->reader == b->reader && a->stamp == b->stamp && a->kind == b->kind &&
           a->article_bytes == b->article_bytes && a->client_id_bytes == b->client_id_bytes &&
           a->correlation_bytes == b->correlation_bytes &&
           memcmp(a->article, b->article, a->article_bytes) == 0 &&
           memcmp(a->client_id, b->client_id, a->client_id_bytes) == 0 &&
           memcmp(a->correlation, b->correlation, a->correlation_bytes) == 0;
}

static inline bool test_ring_is(const struct record *record, uint64_t n, uint64_t seed)
{
    struct test_ring_text text;
    struct record expected = test_ring_record(n, seed, &text);
    return record->sequence == n && test_ring_same(record, &expected);
}

#endif
