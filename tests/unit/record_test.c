#include "unit.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/record.h"
#include "core/stamp.h"
#include "vectors.h"

#define RING 0x1122334455667788u

static const char article[] = "world/migrant-caravan";

static struct record plain(void)
{
    unsigned char reader[8];
    unit_hex(VECTOR_READER_U, reader);
    return (struct record){
        .position = 128,
        .sequence = 2,
        .reader = bytes_get_u64(reader),
        .stamp = 91443600123u * STAMP_COUNTS + 5,
        .kind = 5,
        .article = article,
        .article_bytes = sizeof article - 1,
    };
}

static struct record with_receipt(void)
{
    static const unsigned char correlation[] = {0, 1, 254, 255};
    struct record record = plain();
    record.position = 192;
    record.sequence = 3;
    record.stamp += STAMP_COUNTS;
    record.kind = 0;
    record.client_id = "web-7Q2M";
    record.client_id_bytes = 8;
    record.correlation = correlation;
    record.correlation_bytes = sizeof correlation;
    return record;
}

static struct record longest(void)
{
    static char text[200], client_id[128];
    static unsigned char correlation[64];
    memset(text, 'a', sizeof text);
    memset(client_id, 'c', sizeof client_id);
    memset(correlation, 255, sizeof correlation);
    return (struct record){
        .position = 1ull << 40,
        .sequence = 1ull << 34,
        .reader = UINT64_MAX,
        .stamp = STAMP_MAX,
        .kind = 15,
        .article = text,
        .article_bytes = sizeof text,
        .client_id = client_id,
        .client_id_bytes = sizeof client_id,
        .correlation = correlation,
        .correlation_bytes = sizeof correlation,
    };
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->reader, b->reader);
    assert_int_equal(a->stamp, b->stamp);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->article_bytes, b->article_bytes);
    assert_int_equal(a->client_id_bytes, b->client_id_bytes);
    assert_int_equal(a->correlation_bytes, b->correlation_bytes);
    assert_memory_equal(a->article, b->article, a->article_bytes);
    if (b->client_id_bytes > 0)
        assert_memory_equal(a->client_id, b->client_id, b->client_id_bytes);
    if (b->correlation_bytes > 0)
        assert_memory_equal(a->correlation, b->correlation, b->correlation_bytes);
}

static void holds(const struct record *record, const char *vector)
{
    unsigned char expected[RECORD_MAX_BYTES], written[RECORD_MAX_BYTES];
    size_t bytes = unit_hex(vector, expected);
    struct record read;
    memset(written, 0xaa, sizeof written); /* padding must be written, not left */
    assert_int_equal(record_bytes(record), bytes);
    record_write(record, RING, written);
    assert_memory_equal(written, expected, bytes);
    assert_int_equal(record_position(expected), record->position);
    assert_int_equal(record_read(expected, bytes, record->position, RING, &read), bytes);
    assert_same(&read, record);
}

static void agrees_with_the_vectors(void **state)
{
    struct record one = plain(), two = with_receipt(), three = longest();
    unsigned char expected[RECORD_FILLER_BYTES], written[RECORD_FILLER_BYTES];
    struct record read;
    (void)state;
    holds(&one, VECTOR_PLAIN);
    holds(&two, VECTOR_RECEIPT);
    holds(&three, VECTOR_LONGEST);

    assert_int_equal(unit_hex(VECTOR_FILLER, expected), RECORD_FILLER_BYTES);
    record_write_filler(4064, RING, written);
    assert_memory_equal(written, expected, RECORD_FILLER_BYTES);
    assert_int_equal(record_read(expected, 16, 4064, RING, &read), RECORD_FILLER_BYTES);
    assert_int_equal(read.article_bytes, 0);
}

static void takes_the_space_that_is_promised(void **state)
{
    static const struct {
        uint8_t article, client_id, correlation;
        size_t bytes;
    } cases[] = {
        {1, 0, 0, 48},  {8, 0, 0, 48},     {9, 0, 0, 64},    {24, 0, 0, 64},
        {25, 0, 0, 80}, {24, 12, 36, 112}, {200, 0, 0, 240}, {200, 128, 64, 432},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct record record = {.article_bytes = cases[i].article,
                                .client_id_bytes = cases[i].client_id,
                                .correlation_bytes = cases[i].correlation};
        require(record_bytes(&record) == cases[i].bytes, "case %zu", i);
    }
}

/* Every single bit, and every ring id and position but the right one. */
static void finds_every_flipped_bit(void **state)
{
    static const char *const vectors[] = {VECTOR_PLAIN, VECTOR_RECEIPT, VECTOR_LONGEST,
                                          VECTOR_FILLER};
    static const uint64_t positions[] = {128, 192, 1ull << 40, 4064};
    (void)state;
    for (size_t v = 0; v < COUNT_OF(vectors); v++) {
        unsigned char in[RECORD_MAX_BYTES];
        size_t bytes = unit_hex(vectors[v], in);
        struct record read;
        for (size_t bit = 0; bit < bytes * 8; bit++) {
            in[bit / 8] ^= (unsigned char)(1u << bit % 8);
            require(record_read(in, bytes, positions[v], RING, &read) == 0, "vector %zu bit %zu", v,
                    bit);
            in[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        for (int bit = 0; bit < 64; bit++) {
            assert_int_equal(record_read(in, bytes, positions[v] ^ 1ull << bit, RING, &read), 0);
            assert_int_equal(record_read(in, bytes, positions[v], RING ^ 1ull << bit, &read), 0);
        }
        assert_true(record_read(in, bytes, positions[v], RING, &read) > 0);
    }
}

/* Memory of exactly what is available, so that reading on would be found out. */
static void reads_no_further_than_available(void **state)
{
    static const char *const vectors[] = {VECTOR_PLAIN, VECTOR_RECEIPT, VECTOR_LONGEST};
    static const uint64_t positions[] = {128, 192, 1ull << 40};
    (void)state;
    for (size_t v = 0; v < COUNT_OF(vectors); v++) {
        unsigned char in[RECORD_MAX_BYTES];
        size_t bytes = unit_hex(vectors[v], in);
        for (size_t cut = 0; cut < bytes; cut++) {
            struct record read;
            unsigned char *exact = malloc(cut + 1);
            memcpy(exact, in, cut);
            require(record_read(exact, cut, positions[v], RING, &read) == 0, "cut at %zu", cut);
            free(exact);
        }
    }
}

/* The CRC over what a hostile or broken writer wrote: the CRC fits, the rest does not. */
static void refuses_what_only_the_checksum_vouches_for(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        unsigned char value;
    } cases[] = {
        {"length too short", 4, 48},
        {"length too long", 4, 96},
        {"length not aligned", 4, 65},
        {"length over a page", 5, 16},
        {"no article", 6, 0},
        {"article too long", 6, 201},
        {"article shorter", 6, 8},
        {"client id that is not there", 7, 100},
        {"client id too long", 7, 129},
        {"correlation too long", 39, 65},
        {"correlation in the padding", 39, 100},
        {"another position", 8, 64},
        {"padding not zero", 63, 1},
        {"padding begins with a byte", 61, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsigned char in[RECORD_MAX_BYTES] = {0}, seed[8];
        struct record read;
        size_t bytes = unit_hex(VECTOR_PLAIN, in);
        in[cases[i].at] = cases[i].value;
        bytes_put_u64(seed, RING);
        size_t claimed = bytes_get_u16(in + 4);
        if (claimed < 8 || claimed > sizeof in)
            claimed = bytes;
        bytes_put_u32(in, crc32c(crc32c(0, seed, 8), in + 4, claimed - 4));
        require(record_read(in, sizeof in, 128, RING, &read) == 0, "%s", cases[i].what);
    }
}

static void never_takes_zeros_for_a_record(void **state)
{
    unsigned char zeros[RECORD_MAX_BYTES] = {0};
    struct record read;
    (void)state;
    for (uint64_t ring = 0; ring < 1000; ring++)
        assert_int_equal(record_read(zeros, sizeof zeros, 0, ring, &read), 0);
}

static void survives_noise(void **state)
{
    uint64_t random = 3;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t noise[RECORD_MAX_BYTES / 8];
        unsigned char *in = (unsigned char *)noise;
        struct record read;
        for (size_t j = 0; j < COUNT_OF(noise); j++)
            noise[j] = unit_random(&random);
        /* Close enough to a record to come to the checksum. */
        bytes_put_u16(in + 4, 64);
        in[6] = 24;
        in[7] = 0;
        in[39] = 0;
        bytes_put_u64(in + 8, 4096);
        assert_int_equal(record_read(in, sizeof noise, 4096, RING, &read), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_vectors),
        cmocka_unit_test(takes_the_space_that_is_promised),
        cmocka_unit_test(finds_every_flipped_bit),
        cmocka_unit_test(reads_no_further_than_available),
        cmocka_unit_test(refuses_what_only_the_checksum_vouches_for),
        cmocka_unit_test(never_takes_zeros_for_a_record),
        cmocka_unit_test(survives_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
