#include "unit.h"

#include "core/crc32c.h"
#include "test_ring.h"
#include "vectors.h"

/* --- header --- */

static void header_agrees_with_the_vector(void **state)
{
    static unsigned char memory[RING_HEADER_BYTES];
    unsigned char expected[340];
    struct ring_identity identity = {
        .capacity_bytes = 33554432,
        .shard = 3,
        .shards = 8,
        .ring_id = RING_ID,
        .edge_id = 0x99aabbccddeeff01u,
        .made_ms = 1795510800123u,
    };
    struct ring_identity found;
    struct error error = {0};
    (void)state;
    for (unsigned char i = 0; i < RING_BOOT_ID_BYTES; i++)
        identity.boot_id[i] = 0x10 + i;
    unit_hex(VECTOR_FINGERPRINT, identity.fingerprint);
    kind_table_parse(&identity.kinds, "like,dislike,love,funny,angry,sad,wow", NULL);
    assert_int_equal(unit_hex(VECTOR_RING_HEADER, expected), sizeof expected);
    memset(memory, 0xaa, sizeof memory);
    ring_format(memory, &identity);
    assert_memory_equal(memory, expected, sizeof expected);
    for (size_t i = sizeof expected; i < sizeof memory; i++)
        assert_int_equal(memory[i], 0);

    assert_int_equal(ring_identify(memory, RING_HEADER_BYTES + 33554432u, &found, &error), 0);
    assert_memory_equal(&found, &identity, sizeof found);
}

static void finds_every_flipped_bit_of_the_header(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_identity found;
    struct error error;
    (void)state;
    for (size_t bit = 0; bit < 340 * 8; bit++) {
        ring.memory[bit / 8] ^= (unsigned char)(1u << bit % 8);
        error.text[0] = '\0';
        require(ring_identify(ring.memory, ring.bytes, &found, &error) == -1, "bit %zu", bit);
        assert_true(strlen(error.text) > 0);
        ring.memory[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_equal(ring_identify(ring.memory, ring.bytes, &found, &error), 0);
    test_ring_free(&ring);
}

static void refuses_a_ring_of_another_size(void **state)
{
    struct test_ring ring = test_ring_new(8192);
    struct ring_identity found;
    (void)state;
    for (uint64_t bytes = 0; bytes < ring.bytes; bytes += 16)
        assert_int_equal(ring_identify(ring.memory, bytes, &found, NULL), -1);
    assert_int_equal(ring_identify(ring.memory, ring.bytes + 4096, &found, NULL), -1);
    test_ring_free(&ring);
}

/* Headers whose CRC fits and which still cannot be. */
static void refuses_impossible_headers(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint64_t value;
        size_t bytes;
    } cases[] = {
        {"version", 8, 2, 4},
        {"header bytes", 12, 8192, 4},
        {"capacity 0", 16, 0, 8},
        {"capacity not of pages", 16, 4112, 8},
        {"capacity huge", 16, (1ull << 32) + 4096, 8},
        {"no shards", 28, 0, 4},
        {"shard beyond", 24, 8, 4},
        {"ring id 0", 32, 0, 8},
        {"16 kinds", 80, 16, 4},
        {"kind without name", 80, 4, 4},
        {"kind's name", 96, 'L', 1},
        {"kind none", 96, 0x656e6f6e, 8},
        {"kind twice", 112, 0x656b696c, 8},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_ring ring = test_ring_new(4096);
        struct ring_identity found;
        memcpy(ring.memory + cases[i].at, &cases[i].value, cases[i].bytes);
        bytes_put_u32(ring.memory + 336, crc32c(0, ring.memory, 336));
        uint64_t claimed = RING_HEADER_BYTES + bytes_get_u64(ring.memory + 16);
        require(ring_identify(ring.memory, claimed, &found, NULL) == -1, "%s", cases[i].what);
        test_ring_free(&ring);
    }
}

/* --- append and take --- */

static void hands_over_in_order(void **state)
{
    struct test_ring ring = test_ring_new(65536);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct record taken;
    (void)state;
    assert_int_equal(ring_consumer_next(&consumer, &taken), 0);
    for (uint64_t n = 0; n < 100; n++) {
        struct test_ring_text text;
        struct record record = test_ring_record(n, 1, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
        assert_int_equal(record.sequence, n);
        assert_int_equal(ring_write_position(ring.memory), record.position + record_bytes(&record));
    }
    for (uint64_t n = 0; n < 100; n++) {
        assert_int_equal(ring_consumer_next(&consumer, &taken), 1);
        assert_true(test_ring_is(&taken, n, 1));
    }
    assert_int_equal(ring_consumer_next(&consumer, &taken), 0);
    assert_int_equal(consumer.next, producer.write);
    test_ring_free(&ring);
}

static void a_plain_record_takes_64_bytes(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct test_ring_text text;
    (void)state;
    for (uint64_t n = 0; n < 64; n++) {
        struct record record = test_ring_plain(n, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
        assert_int_equal(producer.write, 64 * (n + 1));
    }
    test_ring_free(&ring);
}

/* Frees everything that can be: what was taken is said to be applied. */
static void drain(struct ring_consumer *consumer)
{
    struct record taken;
    while (ring_consumer_next(consumer, &taken) == 1)
        ;
    ring_consumer_applied(consumer, consumer->next);
}

static void wraps_by_a_filler(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct test_ring_text text;
    struct record record, taken;
    (void)state;
    for (uint64_t n = 0; n < 63; n++) {
        record = test_ring_plain(n, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
    }
    drain(&consumer);
    assert_int_equal(consumer.read, 1984); /* 2,048 of the 4,032 are kept */

    /* 64 bytes are left: 80 do not fit there. */
    record = test_ring_plain(63, &text);
    record.article_bytes = 40;
    assert_int_equal(ring_producer_append(&producer, &record), 0);
    assert_int_equal(record.position, 4096);
    assert_int_equal(producer.write, 4176);
    assert_int_equal(record_read(test_ring_data(&ring) + 4032, 64, 4032, RING_ID, &taken),
                     RECORD_FILLER_BYTES);
    assert_int_equal(taken.article_bytes, 0);
    assert_int_equal(record_read(test_ring_data(&ring), 4096, 4096, RING_ID, &taken), 80);

    assert_int_equal(ring_consumer_next(&consumer, &taken), 1);
    assert_int_equal(taken.position, 4096);
    assert_int_equal(taken.sequence, 63);
    assert_true(test_ring_same(&taken, &record));
    assert_int_equal(ring_consumer_next(&consumer, &taken), 0);
    test_ring_free(&ring);
}

static void wraps_without_one_where_the_end_is_reached(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct test_ring_text text;
    (void)state;
    for (uint64_t n = 0; n < 300; n++) {
        struct record record = test_ring_plain(n, &text), taken;
        assert_int_equal(ring_producer_append(&producer, &record), 0);
        assert_int_equal(record.position, 64 * n);
        assert_int_equal(ring_consumer_next(&consumer, &taken), 1);
        assert_true(test_ring_same(&taken, &record));
        ring_consumer_applied(&consumer, consumer.next);
    }
    test_ring_free(&ring);
}

static void refuses_when_full_and_changes_nothing(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    unsigned char *before = malloc(ring.bytes);
    struct test_ring_text text;
    struct record record, taken;
    (void)state;
    for (uint64_t n = 0; n < 63; n++) {
        record = test_ring_plain(n, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
    }
    memcpy(before, ring.memory, ring.bytes);
    struct ring_producer saved = producer;
    record = test_ring_plain(63, &text);
    record.article_bytes = 25; /* 80 bytes, of which neither filler nor record may be written */
    assert_int_equal(ring_producer_append(&producer, &record), -1);
    assert_memory_equal(before, ring.memory, ring.bytes);
    assert_memory_equal(&saved, &producer, sizeof saved);

    /* To the last byte. */
    record = test_ring_plain(63, &text);
    assert_int_equal(ring_producer_append(&producer, &record), 0);
    assert_int_equal(ring_producer_append(&producer, &record), -1);
    record.article_bytes = 1;
    assert_int_equal(ring_producer_append(&producer, &record), -1);

    /* Taken is not applied. */
    while (ring_consumer_next(&consumer, &taken) == 1)
        ;
    assert_int_equal(ring_producer_append(&producer, &record), -1);
    ring_consumer_applied(&consumer, 63);
    assert_int_equal(ring_producer_append(&producer, &record), -1);
    ring_consumer_applied(&consumer, 64);
    assert_int_equal(ring_producer_append(&producer, &record), 0);
    assert_int_equal(record.position, 4096);
    free(before);
    test_ring_free(&ring);
}

static void frees_only_above_half_what_was_applied_and_taken(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct test_ring_text text;
    struct record record, taken;
    (void)state;
    for (uint64_t n = 0; n < 32; n++) {
        record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
        ring_consumer_next(&consumer, &taken);
    }
    ring_consumer_applied(&consumer, producer.write);
    assert_int_equal(ring_applied_position(ring.memory), 2048);
    assert_int_equal(ring_read_position(ring.memory), 0); /* half is kept */

    for (uint64_t n = 32; n < 48; n++) {
        record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    ring_consumer_applied(&consumer, 100); /* in the middle of the second record */
    assert_int_equal(ring_read_position(ring.memory), 64);
    ring_consumer_applied(&consumer, 3072); /* beyond what was taken: one that is not may not go */
    assert_int_equal(ring_read_position(ring.memory), 1024);
    assert_int_equal(ring_applied_position(ring.memory), 3072);
    ring_consumer_applied(&consumer, 1000000); /* more than there is */
    assert_int_equal(ring_applied_position(ring.memory), 3072);
    ring_consumer_applied(&consumer, 64); /* Redis lost its last seconds */
    assert_int_equal(ring_applied_position(ring.memory), 64);
    assert_int_equal(ring_read_position(ring.memory), 1024);

    for (uint64_t n = 48; n < 64; n++) {
        record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    ring_consumer_applied(&consumer, 4096);
    assert_int_equal(ring_read_position(ring.memory), 2048); /* 32 were taken */
    test_ring_free(&ring);
}

static void asks_for_rotation_when_nothing_more_can_be_freed(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct test_ring_text text;
    (void)state;
    for (uint64_t n = 0; n < 64; n++) {
        struct record record = test_ring_plain(n, &text), taken;
        ring_producer_append(&producer, &record);
        ring_consumer_next(&consumer, &taken);
    }
    test_ring_data(&ring)[64 * 3 + 50] ^= 1;
    assert_false(ring_rotation_wanted(ring.memory));
    ring_consumer_applied(&consumer, 4096);
    assert_int_equal(ring_read_position(ring.memory), 64 * 3);
    assert_true(ring_rotation_wanted(ring.memory));
    test_ring_free(&ring);
}

static void stops_at_damage(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct test_ring_text text;
    struct record record, taken;
    (void)state;
    for (uint64_t n = 0; n < 10; n++) {
        record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    test_ring_data(&ring)[64 * 4 + 20] ^= 1;
    for (int n = 0; n < 4; n++)
        assert_int_equal(ring_consumer_next(&consumer, &taken), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_consumer_next(&consumer, &taken), -1);
        assert_int_equal(consumer.next, 256);
    }
    ring_want_rotation(ring.memory);
    assert_true(ring_rotation_wanted(ring.memory));

    /* A whole record of this very ring and position, but of another sequence. */
    record = test_ring_plain(4, &text);
    record.position = 256;
    record.sequence = 5;
    record_write(&record, RING_ID, test_ring_data(&ring) + 256);
    assert_int_equal(ring_consumer_next(&consumer, &taken), -1);
    record.sequence = 4;
    record_write(&record, RING_ID, test_ring_data(&ring) + 256);
    assert_int_equal(ring_consumer_next(&consumer, &taken), 1);
    test_ring_free(&ring);
}

static void seeks_to_boundaries_only(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring), seeker;
    uint64_t boundary[200];
    size_t boundaries = 0;
    struct record taken;
    (void)state;
    for (uint64_t n = 0; n < 60; n++) {
        struct test_ring_text text;
        struct record record = test_ring_record(n, 5, &text);
        while (ring_producer_append(&producer, &record) != 0)
            drain(&consumer);
    }
    drain(&consumer);
    seeker = test_ring_consumer(&ring);
    boundary[boundaries++] = seeker.next;
    while (ring_consumer_next(&seeker, &taken) == 1) {
        if (taken.position != boundary[boundaries - 1])
            boundary[boundaries++] = taken.position; /* after a filler */
        boundary[boundaries++] = seeker.next;
    }
    uint64_t last_sequence = taken.sequence;

    size_t found = 0;
    for (uint64_t position = 0; position <= producer.write + 64; position++) {
        bool is_boundary = false;
        for (size_t i = 0; i < boundaries; i++)
            is_boundary = is_boundary || boundary[i] == position;
        struct ring_consumer tried = test_ring_consumer(&ring);
        require(ring_consumer_seek(&tried, position) == (is_boundary ? 0 : -1), "position %llu",
                (unsigned long long)position);
        if (!is_boundary)
            continue;
        found++;
        uint64_t next = 0;
        while (ring_consumer_next(&tried, &taken) == 1)
            next = taken.sequence;
        assert_int_equal(tried.next, producer.write);
        assert_true(next == last_sequence || position == producer.write);
    }
    assert_int_equal(found, boundaries);

    /* Back again, with the sequence still watched. */
    assert_int_equal(ring_consumer_seek(&seeker, boundary[0]), 0);
    assert_int_equal(ring_consumer_next(&seeker, &taken), 1);
    assert_int_equal(taken.position, boundary[0]);
    test_ring_free(&ring);
}

static void seeking_does_not_pass_damage(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct test_ring_text text;
    (void)state;
    for (uint64_t n = 0; n < 10; n++) {
        struct record record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    test_ring_data(&ring)[64 * 4] ^= 1;
    struct ring_consumer consumer = test_ring_consumer(&ring);
    assert_int_equal(ring_consumer_seek(&consumer, 256), 0);
    assert_int_equal(ring_consumer_seek(&consumer, 320), -1);
    assert_int_equal(consumer.next, 256);
    test_ring_free(&ring);
}

static void keeps_what_the_consumer_notes(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    (void)state;
    assert_int_equal(ring_store_id(ring.memory), 0);
    ring_set_store_id(ring.memory, 0xfedcba9876543210u);
    assert_int_equal(ring_store_id(ring.memory), 0xfedcba9876543210u);
    assert_int_equal(bytes_get_u64(ring.memory + 656), 0xfedcba9876543210u);
    ring_want_rotation(ring.memory);
    assert_int_equal(bytes_get_u32(ring.memory + 664), 1);
    test_ring_free(&ring);
}

/* --- going on with a ring --- */

static void refuses_positions_that_cannot_be(void **state)
{
    static const struct {
        uint64_t read, write;
    } cases[] = {
        {64, 0},
        {0, 8},
        {8, 64},
        {0, 4112},
        {64, 8192},
        {UINT64_MAX - 15, 0},
        {0, UINT64_MAX - 15},
        {0, UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_ring ring = test_ring_new(4096);
        struct ring_producer producer;
        struct ring_consumer consumer;
        struct error error = {0};
        bytes_put_u64(ring.memory + RING_READ, cases[i].read);
        bytes_put_u64(ring.memory + RING_WRITE, cases[i].write);
        require(ring_producer_open(&producer, ring.memory, ring.bytes, &error) == -1, "case %zu",
                i);
        require(strlen(error.text) > 0, "case %zu", i);
        require(ring_consumer_open(&consumer, ring.memory, ring.bytes, NULL) == -1, "case %zu", i);
        test_ring_free(&ring);
    }
    /* Nothing there to tell the sequence from. */
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer;
    bytes_put_u64(ring.memory + RING_READ, 64);
    bytes_put_u64(ring.memory + RING_WRITE, 64);
    assert_int_equal(ring_producer_open(&producer, ring.memory, ring.bytes, NULL), -1);
    test_ring_free(&ring);
}

static void does_not_go_on_after_damage(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct test_ring_text text;
    struct record record;
    (void)state;
    for (uint64_t n = 0; n < 10; n++) {
        record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    for (uint64_t byte = 0; byte < 640; byte++) {
        test_ring_data(&ring)[byte] ^= 1;
        require(ring_producer_open(&producer, ring.memory, ring.bytes, NULL) == -1, "byte %llu",
                (unsigned long long)byte);
        test_ring_data(&ring)[byte] ^= 1;
    }
    /* Whole, but a sequence is missing: at the beginning, and within. */
    for (uint64_t n = 0; n < 10; n += 5) {
        record = test_ring_plain(n, &text);
        record.position = 64 * n;
        record.sequence = n + 1;
        record_write(&record, RING_ID, test_ring_data(&ring) + 64 * n);
        assert_int_equal(ring_producer_open(&producer, ring.memory, ring.bytes, NULL), -1);
        record.sequence = n;
        record_write(&record, RING_ID, test_ring_data(&ring) + 64 * n);
        assert_int_equal(ring_producer_open(&producer, ring.memory, ring.bytes, NULL), 0);
    }
    assert_int_equal(producer.sequence, 10);
    test_ring_free(&ring);
}

/* Whatever part of an append had reached memory when the producer was killed, up to all of it but
 * the write position: the ring continues from what was published, and the consumer sees nothing
 * else.
 */
static void survives_a_kill_at_every_store(void **state)
{
    (void)state;
    for (uint64_t before = 0; before < 70; before++) {
        struct test_ring ring = test_ring_new(4096);
        struct ring_producer producer = test_ring_producer(&ring);
        struct ring_consumer consumer = test_ring_consumer(&ring);
        struct test_ring_text text;
        struct record record;
        for (uint64_t n = 0; n < before; n++) {
            record = test_ring_record(n, 9, &text);
            assert_int_equal(ring_producer_append(&producer, &record), 0);
            drain(&consumer);
        }
        unsigned char *old = malloc(ring.bytes), *new = malloc(ring.bytes);
        assert_non_null(old);
        assert_non_null(new);
        memcpy(old, ring.memory, ring.bytes);
        record = test_ring_record(before, 9, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
        memcpy(new, ring.memory, ring.bytes);

        for (uint64_t cut = 0; cut <= ring.capacity; cut += cut % 16 == 0 ? 1 : 5) {
            /* The stores up to `cut` are done, then those behind it instead. */
            for (int behind = 0; behind < 2; behind++) {
                memcpy(ring.memory, old, ring.bytes);
                if (behind)
                    memcpy(test_ring_data(&ring) + cut, new + RING_HEADER_BYTES + cut,
                           ring.capacity - cut);
                else
                    memcpy(test_ring_data(&ring), new + RING_HEADER_BYTES, cut);
                struct ring_producer again = test_ring_producer(&ring);
                assert_int_equal(again.sequence, before);
                assert_int_equal(again.write, ring_write_position(old));
                struct ring_consumer other = test_ring_consumer(&ring);
                struct record taken = {0};
                while (ring_consumer_next(&other, &taken) == 1)
                    ;
                assert_int_equal(other.next, again.write);
                assert_true(before == 0 || test_ring_is(&taken, before - 1, 9));
                struct record next = test_ring_record(before, 10, &text);
                assert_int_equal(ring_producer_append(&again, &next), 0);
                assert_int_equal(ring_consumer_next(&other, &taken), 1);
                assert_true(test_ring_is(&taken, before, 10));
            }
        }
        free(old);
        free(new);
        test_ring_free(&ring);
    }
}

/* --- against a model --- */

struct model {
    uint64_t begin[4096]; /* of every record that is not yet freed, and of a few before */
    uint64_t end[4096];
    uint64_t appended, taken, applied; /* how many */
};

static void append_some(struct model *model, struct ring_producer *producer, uint64_t seed,
                        uint64_t most, uint64_t read)
{
    for (uint64_t i = 0; i < most; i++) {
        struct test_ring_text text;
        struct record record = test_ring_record(model->appended, seed, &text);
        uint64_t write = producer->write;
        uint64_t bytes = record_bytes(&record), capacity = producer->capacity_bytes;
        uint64_t to_end = capacity - write % capacity;
        uint64_t begin = bytes > to_end ? write + to_end : write;
        bool fits = begin + bytes - read <= capacity;
        require(ring_producer_append(producer, &record) == (fits ? 0 : -1), "seed %llu record %llu",
                (unsigned long long)seed, (unsigned long long)model->appended);
        if (!fits)
            return;
        assert_int_equal(record.position, begin);
        assert_int_equal(record.sequence, model->appended);
        model->begin[model->appended % 4096] = begin;
        model->end[model->appended % 4096] = begin + bytes;
        model->appended++;
    }
}

static void take_some(struct model *model, struct ring_consumer *consumer, uint64_t seed,
                      uint64_t most)
{
    for (uint64_t i = 0; i < most; i++) {
        struct record record;
        int got = ring_consumer_next(consumer, &record);
        assert_int_equal(got, model->taken < model->appended ? 1 : 0);
        if (got == 0)
            return;
        require(test_ring_is(&record, model->taken, seed), "seed %llu record %llu",
                (unsigned long long)seed, (unsigned long long)model->taken);
        assert_int_equal(record.position, model->begin[model->taken % 4096]);
        assert_int_equal(consumer->next, model->end[model->taken % 4096]);
        model->taken++;
    }
}

/* What must be kept: the latest half of the capacity, and all that is not applied and taken. */
static void check_kept(const struct model *model, const struct test_ring *ring, uint64_t write)
{
    uint64_t read = ring_read_position(ring->memory);
    uint64_t applied = model->applied == 0 ? 0 : model->end[(model->applied - 1) % 4096];
    assert_true(read <= write && write - read <= ring->capacity);
    assert_true(read <= applied);
    /* Nothing was freed that was not over half. */
    if (read > 0) {
        uint64_t n = model->applied;
        while (n > 0 && model->end[(n - 1) % 4096] > read)
            n--;
        assert_true(n > 0 && write - model->begin[(n - 1) % 4096] > ring->capacity / 2);
    }
}

static void run_against_model(uint64_t seed)
{
    uint64_t random = seed;
    struct test_ring ring = test_ring_new(4096u * (1 + unit_random(&random) % 4));
    struct ring_producer producer = test_ring_producer(&ring);
    struct ring_consumer consumer = test_ring_consumer(&ring);
    struct model model = {0};

    for (int step = 0; step < 3000; step++) {
        uint64_t choice = unit_random(&random) % 100, amount = unit_random(&random) % 12;
        if (choice < 40) {
            append_some(&model, &producer, seed, amount, ring_read_position(ring.memory));
        } else if (choice < 75) {
            take_some(&model, &consumer, seed, amount);
        } else if (choice < 95) {
            uint64_t ahead = model.taken - model.applied;
            model.applied += ahead == 0 ? 0 : unit_random(&random) % (ahead + 1);
            if (model.applied > 0)
                ring_consumer_applied(&consumer, model.end[(model.applied - 1) % 4096]);
            check_kept(&model, &ring, producer.write);
        } else if (choice < 97) {
            uint64_t write = producer.write;
            producer = test_ring_producer(&ring); /* the broker was killed and started again */
            assert_int_equal(producer.write, write);
            assert_int_equal(producer.sequence, model.appended);
        } else {
            /* The collector was killed and asks Redis where to continue. */
            consumer = test_ring_consumer(&ring);
            uint64_t position = model.applied == 0 ? 0 : model.end[(model.applied - 1) % 4096];
            assert_int_equal(ring_consumer_seek(&consumer, position), 0);
            model.taken = model.applied;
        }
    }
    assert_true(model.applied > 500);
    test_ring_free(&ring);
}

static void agrees_with_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        run_against_model(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_agrees_with_the_vector),
        cmocka_unit_test(finds_every_flipped_bit_of_the_header),
        cmocka_unit_test(refuses_a_ring_of_another_size),
        cmocka_unit_test(refuses_impossible_headers),
        cmocka_unit_test(hands_over_in_order),
        cmocka_unit_test(a_plain_record_takes_64_bytes),
        cmocka_unit_test(wraps_by_a_filler),
        cmocka_unit_test(wraps_without_one_where_the_end_is_reached),
        cmocka_unit_test(refuses_when_full_and_changes_nothing),
        cmocka_unit_test(frees_only_above_half_what_was_applied_and_taken),
        cmocka_unit_test(asks_for_rotation_when_nothing_more_can_be_freed),
        cmocka_unit_test(stops_at_damage),
        cmocka_unit_test(seeks_to_boundaries_only),
        cmocka_unit_test(seeking_does_not_pass_damage),
        cmocka_unit_test(keeps_what_the_consumer_notes),
        cmocka_unit_test(refuses_positions_that_cannot_be),
        cmocka_unit_test(does_not_go_on_after_damage),
        cmocka_unit_test(survives_a_kill_at_every_store),
        cmocka_unit_test(agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
