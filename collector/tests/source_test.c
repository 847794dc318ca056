#include "unit.h"

#include "source.h"
#include "test_ring.h"

/* A small ring with a producer of ours, and sources over it. */
struct world {
    struct test_ring ring;
    struct ring_producer producer;
    struct ring_identity identity;
};

static void setup(struct world *world)
{
    world->ring = test_ring_new(4096);
    world->producer = test_ring_producer(&world->ring);
    world->identity = test_ring_identity(4096);
}

/* Records of 64 and 112 bytes, so that some fillers are needed. */
static bool append(struct world *world, uint64_t reader)
{
    struct record record = {.reader = reader,
                            .stamp = 1000 + reader,
                            .kind = 1,
                            .article = "a/b",
                            .article_bytes = 3,
                            .client_id = "a client of some length",
                            .client_id_bytes = reader % 3 == 0 ? 23 : 0,
                            .correlation = (const unsigned char *)"0123456789",
                            .correlation_bytes = reader % 3 == 0 ? 10 : 0};
    return ring_producer_append(&world->producer, &record) == 0;
}

static struct source *open_source(struct world *world, bool old)
{
    struct error error = {0};
    struct source *source =
        source_new(world->ring.memory, world->ring.bytes, &world->identity, old, &error);
    require(source != NULL, "%s", error.text);
    return source;
}

static void assert_waiting(struct source *source, uint64_t records, uint64_t bytes)
{
    uint64_t got_records, got_bytes;
    source_waiting(source, &got_records, &got_bytes);
    assert_int_equal(got_records, records);
    assert_int_equal(got_bytes, bytes);
}

static void test_current(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    struct source *source = open_source(&world, false);
    assert_waiting(source, 0, 0);
    for (uint64_t i = 0; i < 5; i++)
        assert_true(append(&world, i));
    assert_int_equal(source_backlog_bytes(source), world.producer.write);
    assert_waiting(source, 5, world.producer.write);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(source_next(source, &record), 1);
        assert_int_equal(record.reader, i);
    }
    source_back(source, &record);
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(record.reader, 2);
    uint64_t end = record.position + record_bytes(&record);
    source_acknowledged(source, (struct batch_point){end, 3});
    source_release(source, (struct batch_point){end, 3});
    assert_int_equal(ring_applied_position(world.ring.memory), end);
    assert_waiting(source, 2, world.producer.write - end);
    struct apply_ring ring = source_ring(source);
    assert_false(ring.old);
    assert_int_equal(ring.oldest, 0);
    assert_int_equal(ring.end, world.producer.write);
    assert_int_equal(ring.acknowledged, end);
    assert_int_equal(source_seek(source, end), 0);
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(record.reader, 3);
    assert_int_equal(source_seek(source, end + 16), -1);
    source_free(source);
    test_ring_free(&world.ring);
}

/* Many laps; a second source, opened between them, continues where the first had an
 * acknowledgement.
 */
static void test_current_wraps_and_opens_again(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    uint64_t expected = 0;
    setup(&world);
    struct source *source = open_source(&world, false);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(append(&world, i));
        if (i % 7 != 6)
            continue;
        while (source_next(source, &record) == 1)
            assert_int_equal(record.reader, expected++);
        source_release(source, (struct batch_point){record.position + record_bytes(&record),
                                                    record.sequence + 1});
        assert_waiting(source, 0, 0);
        if (i % 49 == 48) {
            source_free(source);
            source = open_source(&world, false);
            assert_waiting(source, 0, 0);
        }
    }
    assert_true(source_ring(source).oldest > 0);
    source_free(source);
    test_ring_free(&world.ring);
}

/* What was acknowledged and is not released still waits: the next process that opens the ring gets
 * it again. */
static void test_acknowledged_but_not_released(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    struct source *source = open_source(&world, false);
    for (uint64_t i = 1; i <= 5; i++)
        assert_true(append(&world, i * 3 + 1)); /* 48 bytes each */
    for (int i = 0; i < 4; i++)
        assert_int_equal(source_next(source, &record), 1);
    source_release(source, (struct batch_point){48, 1});
    source_acknowledged(source, (struct batch_point){192, 4});
    assert_int_equal(source_ring(source).acknowledged, 192);
    assert_int_equal(ring_applied_position(world.ring.memory), 48);
    assert_waiting(source, 4, 192);
    assert_int_equal(source_seek(source, 192), 0); /* Redis has all that was acknowledged */
    assert_waiting(source, 4, 192);
    struct source *next = open_source(&world, false);
    assert_int_equal(source_ring(next).acknowledged, 48);
    assert_waiting(next, 4, 192);
    assert_int_equal(source_next(next, &record), 1);
    assert_int_equal(record.position, 48);
    source_free(next);
    assert_int_equal(source_seek(source, 96), 0); /* it went back */
    assert_int_equal(source_ring(source).acknowledged, 96);
    assert_waiting(source, 3, 144);
    source_free(source);
    test_ring_free(&world.ring);
}

/* A ring that is reopened in the middle, where the previous record is gone: only the next record
 * tells how many came before. */
static void test_opens_at_its_oldest_record(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    struct source *source = open_source(&world, false);
    for (uint64_t i = 0; i < 60; i++) {
        assert_true(append(&world, i * 3 + 1));
        assert_int_equal(source_next(source, &record), 1);
        uint64_t end = record.position + record_bytes(&record);
        source_acknowledged(source, (struct batch_point){end, record.sequence + 1});
        source_release(source, (struct batch_point){end, record.sequence + 1});
    }
    for (uint64_t i = 0; i < 3; i++)
        assert_true(append(&world, i * 3 + 1));
    uint64_t oldest = source_ring(source).oldest;
    assert_true(oldest > 0);
    uint64_t write = world.producer.write, kept = (write - oldest) / 48;
    assert_int_equal(source_seek(source, oldest), 0);
    assert_waiting(source, kept, write - oldest);
    source_free(source);
    bytes_put_u64(world.ring.memory + RING_APPLIED, oldest);
    source = open_source(&world, false);
    assert_waiting(source, kept, write - oldest);
    source_free(source);
    test_ring_free(&world.ring);
}

static void test_old(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    uint64_t positions[100];
    size_t n = 0;
    setup(&world);
    struct source *source = open_source(&world, true);
    while (append(&world, n))
        n++;
    assert_waiting(source, 0, world.producer.write);
    assert_int_equal(source_scan(source), 0);
    assert_waiting(source, n, world.producer.write);
    struct apply_ring ring = source_ring(source);
    assert_true(ring.old);
    assert_int_equal(ring.oldest, 0);
    assert_int_equal(ring.end, world.producer.write);
    assert_int_equal(source_seek(source, 0), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(source_next(source, &record), 1);
        assert_int_equal(record.reader, i);
        positions[i] = record.position;
    }
    assert_int_equal(source_next(source, &record), 0);
    assert_int_equal(source_backlog_bytes(source), 0);
    source_back(source, &record);
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(record.reader, n - 1);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(source_seek(source, positions[i]), 0);
        assert_int_equal(source_next(source, &record), 1);
        assert_int_equal(record.reader, i);
        /* No record begins there: all of it again. */
        assert_int_equal(source_seek(source, positions[i] + 16), -1);
        assert_int_equal(source_next(source, &record), 1);
        assert_int_equal(record.reader, 0);
    }
    assert_int_equal(source_seek(source, ring.end), 0);
    assert_int_equal(source_next(source, &record), 0);
    assert_int_equal(source_damaged(source), 0);
    source_free(source);
    test_ring_free(&world.ring);
}

/* A position before a filler, where no record begins, is a position all the same. */
static void test_old_before_a_filler(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    struct ring_consumer consumer;
    uint64_t end = 0, n = 0, before_filler = 0;
    setup(&world);
    consumer = test_ring_consumer(&world.ring);
    for (uint64_t i = 0; i < 200; i++) {
        assert_true(append(&world, i));
        assert_int_equal(ring_consumer_next(&consumer, &record), 1);
        if (record.position != end) {
            before_filler = end;
            n = i;
        }
        end = record.position + record_bytes(&record);
        ring_consumer_applied(&consumer, end);
    }
    assert_true(before_filler > 0);
    struct source *source = open_source(&world, true);
    assert_int_equal(source_scan(source), 0);
    assert_true(source_ring(source).oldest < before_filler);
    assert_int_equal(source_seek(source, before_filler), 0);
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(record.reader, n);
    source_free(source);
    test_ring_free(&world.ring);
}

static void test_old_with_damage(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(append(&world, i * 3 + 1)); /* 64 bytes each */
    test_ring_data(&world.ring)[64 * 4 + 30] ^= 1;
    struct source *source = open_source(&world, true);
    assert_int_equal(source_scan(source), 0);
    assert_int_equal(source_damaged(source), 1);
    assert_int_equal(source_seek(source, 0), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(source_next(source, &record), 0);
    source_free(source);
    test_ring_free(&world.ring);
}

/* Gone bad after it was scanned: counted once, however often the ring is gone through again. */
static void test_old_that_goes_bad(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(append(&world, i * 3 + 1)); /* 48 bytes each */
    struct source *source = open_source(&world, true);
    assert_int_equal(source_scan(source), 0);
    test_ring_data(&world.ring)[48 * 4 + 30] ^= 1;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(source_seek(source, 0), 0);
        for (uint64_t i = 0; i < 10; i++) {
            if (i == 4)
                continue;
            assert_int_equal(source_next(source, &record), 1);
            assert_int_equal(record.sequence, i);
        }
        assert_int_equal(source_next(source, &record), 0);
        assert_int_equal(source_backlog_bytes(source), 0);
        assert_int_equal(source_damaged(source), 1);
    }
    source_free(source);
    test_ring_free(&world.ring);
}

/* What a header claims after a power loss is no more than a ring holds. */
static void test_old_claims_no_more_than_its_capacity(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(append(&world, i * 3 + 1));
    struct source *source = open_source(&world, true);
    bytes_put_u64(world.ring.memory + RING_WRITE, 4096);
    assert_waiting(source, 0, 4096);
    bytes_put_u64(world.ring.memory + RING_WRITE, 4096 + 48);
    assert_waiting(source, 0, 4096);
    source_free(source);
    test_ring_free(&world.ring);
}

/* Nobody asked how many wait while the ring was gone through several times. */
static void test_counts_after_many_laps(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    struct source *source = open_source(&world, false);
    assert_waiting(source, 0, 0);
    for (uint64_t i = 0; i < 500; i++) {
        assert_true(append(&world, i * 3 + 1));
        assert_int_equal(source_next(source, &record), 1);
        uint64_t end = record.position + record_bytes(&record);
        source_acknowledged(source, (struct batch_point){end, record.sequence + 1});
        source_release(source, (struct batch_point){end, record.sequence + 1});
    }
    for (uint64_t i = 0; i < 3; i++)
        assert_true(append(&world, i * 3 + 1));
    uint64_t records, bytes;
    source_waiting(source, &records, &bytes);
    assert_int_equal(records, 3);
    source_free(source);
    test_ring_free(&world.ring);
}

/* A record given back keeps its place: one of another sequence in it is damage. */
static void test_back_keeps_the_sequence(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    assert_true(append(&world, 1));
    assert_true(append(&world, 4));
    struct source *source = open_source(&world, false);
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(source_next(source, &record), 1);
    struct record forged = record;
    forged.sequence--;
    source_back(source, &record);
    record_write(&forged, RING_ID, test_ring_data(&world.ring) + forged.position);
    assert_int_equal(source_next(source, &record), -1);
    source_free(source);
    test_ring_free(&world.ring);
}

static void test_old_without_a_record(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    struct source *source = open_source(&world, true);
    assert_int_equal(source_scan(source), 0);
    assert_int_equal(source_seek(source, 0), 0);
    assert_int_equal(source_next(source, &record), 0);
    assert_int_equal(source_seek(source, 64), -1);
    assert_int_equal(source_next(source, &record), 0);
    assert_waiting(source, 0, 0);
    source_free(source);
    test_ring_free(&world.ring);
}

static void test_damage_in_the_current_ring(void **state)
{
    (void)state;
    struct world world;
    struct record record;
    setup(&world);
    assert_true(append(&world, 1));
    assert_true(append(&world, 1));
    struct source *source = open_source(&world, false);
    test_ring_data(&world.ring)[64 + 30] ^= 1;
    assert_int_equal(source_next(source, &record), 1);
    assert_int_equal(source_next(source, &record), -1);
    assert_int_equal(source_next(source, &record), -1);
    source_free(source);
    test_ring_free(&world.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_current_wraps_and_opens_again),
        cmocka_unit_test(test_acknowledged_but_not_released),
        cmocka_unit_test(test_opens_at_its_oldest_record),
        cmocka_unit_test(test_old),
        cmocka_unit_test(test_old_before_a_filler),
        cmocka_unit_test(test_old_with_damage),
        cmocka_unit_test(test_old_that_goes_bad),
        cmocka_unit_test(test_old_claims_no_more_than_its_capacity),
        cmocka_unit_test(test_counts_after_many_laps),
        cmocka_unit_test(test_back_keeps_the_sequence),
        cmocka_unit_test(test_old_without_a_record),
        cmocka_unit_test(test_damage_in_the_current_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
