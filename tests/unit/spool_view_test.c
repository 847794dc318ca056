#include "unit.h"

#include "spool/spool_consumer.h"
#include "spool/spool_internal.h"
#include "spool/spool_producer.h"
#include "spool/spool_view.h"
#include "temp.h"
#include "test_ring.h"

#define SHARDS 3u
#define RING_BYTES 16384u
#define RECORD_BYTES 64u /* of test_ring_plain */

static struct error error;
static char note[1024];

static const char *spool(void)
{
    return temp_path("spool");
}

static struct spool *produce(void)
{
    struct spool_producer_want want = {
        .shards = SHARDS, .ring_bytes = RING_BYTES, .fingerprint = {1, 2, 3}};
    assert_int_equal(kind_table_parse(&want.kinds, "like,sad", NULL), 0);
    struct spool *dir = spool_producer_open(spool(), &want, &error);
    require(dir != NULL, "%s", error.text);
    return dir;
}

static struct spool *consume(void)
{
    bool retry;
    struct spool *dir = spool_consumer_open(spool(), &retry, &error);
    require(dir != NULL, "%s", error.text);
    return dir;
}

static void append(struct spool *dir, uint32_t shard, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct test_ring_text text;
        struct record record = test_ring_plain(i, &text);
        assert_int_equal(ring_producer_append(spool_producer_ring(dir, shard), &record), 0);
        spool_producer_count_admitted(dir);
    }
}

static struct spool_view *look(void)
{
    bool retry;
    struct spool_view *view = spool_view_open(spool(), &retry, &error);
    require(view != NULL, "%s", error.text);
    return view;
}

static size_t find(const struct spool_view *view, uint32_t shard, bool old)
{
    for (size_t i = 0; i < spool_view_rings(view); i++)
        if (spool_view_ring(view, i)->shard == shard && spool_view_ring(view, i)->old == old)
            return i;
    fail();
    return 0;
}

static struct spool_view_rest rest(const struct spool_view *view, size_t i, uint64_t position,
                                   uint64_t sequence)
{
    struct spool_view_rest out;
    assert_int_equal(spool_view_compare(view, i, position, sequence, &out), 0);
    return out;
}

/* Takes from a shard's ring and notes what was taken as applied. */
static void apply(struct spool *consumer, uint32_t shard, unsigned n)
{
    struct ring_identity identity;
    struct ring_consumer walk;
    struct record record;
    uint64_t bytes;
    void *memory;
    assert_true(spool_consumer_ring(consumer, shard, &memory, &bytes, &identity, &error) >= 0);
    assert_int_equal(ring_consumer_open(&walk, memory, bytes, &error), 0);
    assert_int_equal(ring_consumer_seek(&walk, ring_applied_position(memory)), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(ring_consumer_next(&walk, &record), 1);
    ring_consumer_applied(&walk, walk.next);
}

static void shows_one_moment(void **state)
{
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    append(producer, 0, 5);
    append(producer, 2, 7);
    apply(consumer, 2, 3);
    struct spool_view *view = look();
    assert_int_equal(spool_view_edge_id(view), spool_id(producer));
    assert_int_equal(spool_view_shards(view), SHARDS);
    assert_int_equal(spool_view_rings(view), SHARDS);
    assert_int_equal(spool_view_take(view), 0);
    assert_int_equal(spool_view_admitted(view), 12);
    append(producer, 0, 4); /* after the moment */
    assert_int_equal(spool_view_admitted(view), 12);
    struct spool_view_rest found = rest(view, find(view, 0, false), 0, 0);
    assert_true(found.waiting == 5 && found.end == 5 && found.missing == 0);
    found = rest(view, find(view, 2, false), 3 * RECORD_BYTES, 3);
    assert_true(found.waiting == 4 && found.end == 7 && found.missing == 0);
    assert_int_equal(spool_view_ring(view, find(view, 2, false))->applied, 3 * RECORD_BYTES);
    found = rest(view, find(view, 1, false), 0, 0);
    assert_true(found.waiting == 0 && found.end == 0 && !found.between && !found.beyond);
    assert_true(spool_view_same(view));
    spool_view_free(view);
    spool_free(consumer);
    spool_free(producer);
}

static void tells_what_a_position_does_not_fit(void **state)
{
    (void)state;
    struct spool *producer = produce();
    append(producer, 0, 5);
    struct spool_view *view = look();
    assert_int_equal(spool_view_take(view), 0);
    size_t i = find(view, 0, false);
    assert_true(rest(view, i, 6 * RECORD_BYTES, 6).beyond);
    assert_true(rest(view, i, RECORD_BYTES / 2, 1).between);
    assert_true(rest(view, i, 2 * RECORD_BYTES, 1).between); /* one was counted too few … */
    assert_true(rest(view, i, 2 * RECORD_BYTES, 3).between); /* … or too many */
    struct spool_view_rest found = rest(view, i, 5 * RECORD_BYTES, 5);
    assert_true(found.waiting == 0 && found.end == 5 && !found.between && !found.beyond);
    spool_view_free(view);
    spool_free(producer);
}

/* What lies before the oldest record and was not applied is missing. */
static void counts_what_the_ring_holds_no_more(void **state)
{
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    append(producer, 1, 200);
    apply(consumer, 1, 200);
    append(producer, 1, 20);
    struct spool_view *view = look();
    assert_int_equal(spool_view_take(view), 0);
    size_t i = find(view, 1, false);
    struct spool_view_rest found = rest(view, i, 200 * RECORD_BYTES, 200);
    assert_true(found.waiting == 20 && found.missing == 0 && found.end == 220);
    found = rest(view, i, 10 * RECORD_BYTES, 10);
    assert_true(found.missing > 0 && found.waiting + found.missing == 210 && found.end == 220);
    spool_view_free(view);
    spool_free(consumer);
    spool_free(producer);
}

static void sees_old_rings_come_and_go(void **state)
{
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    struct spool_consumer_old old[4];
    append(producer, 0, 6);
    struct spool_view *before = look();
    ring_want_rotation(spool_producer_ring(producer, 0)->memory);
    spool_producer_tend(producer, note, sizeof note);
    append(producer, 0, 2);
    assert_int_equal(spool_view_take(before), -1); /* the ring was replaced */
    assert_false(spool_view_same(before));
    struct spool_view *view = look();
    assert_int_equal(spool_view_rings(view), SHARDS + 1);
    assert_int_equal(spool_view_take(view), 0);
    assert_int_equal(spool_view_admitted(view), 8);
    struct spool_view_rest found = rest(view, find(view, 0, true), 4 * RECORD_BYTES, 4);
    assert_true(found.waiting == 2 && found.end == 6 && found.missing == 0);
    found = rest(view, find(view, 0, false), 0, 0);
    assert_true(found.waiting == 2 && found.end == 2);
    assert_true(spool_view_same(view));
    assert_int_equal(spool_consumer_list_old(consumer, old, 4), 1);
    assert_int_equal(spool_consumer_delete_old(&old[0]), 0);
    assert_false(spool_view_same(view));
    spool_view_free(before);
    spool_view_free(view);
    spool_free(consumer);
    spool_free(producer);
}

/* A ring whose header could not be read when it was renamed has another id in its name. */
static void takes_a_misnamed_ring_for_the_same(void **state)
{
    (void)state;
    struct spool *producer = produce();
    append(producer, 0, 2);
    spool_free(producer);
    assert_int_equal(rename(temp_path("spool/ring-0"), temp_path("spool/old-0-00000000000000aa")),
                     0);
    producer = produce();
    struct spool_view *view = look();
    const struct spool_view_ring *ring = spool_view_ring(view, find(view, 0, true));
    assert_int_equal(spool_view_take(view), 0);
    assert_true(spool_view_same(view));
    assert_true(ring->ring_id != 0xaa && ring->name_id == 0xaa && !ring->damaged);
    spool_view_free(view);
    spool_free(producer);
}

static void says_what_is_damaged_or_not_there(void **state)
{
    (void)state;
    bool retry;
    assert_null(spool_view_open(spool(), &retry, &error));
    assert_non_null(strstr(error.text, "spool"));
    struct spool *producer = produce();
    append(producer, 0, 1);
    int fd = open(temp_path("spool/ring-0"), O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    close(fd);
    struct spool_view *view = look();
    assert_true(spool_view_ring(view, find(view, 0, false))->damaged);
    assert_int_equal(spool_view_take(view), 0);
    assert_true(rest(view, find(view, 0, false), 0, 0).between);
    spool_view_free(view);
    spool_free(producer);
}

/* It needs no right to write, and takes no lock. */
static void only_looks(void **state)
{
    (void)state;
    struct spool *producer = produce(), *consumer = consume();
    struct spool_view *view = look();
    assert_true(spool_consumer_has_producer(consumer));
    spool_view_free(view);
    spool_free(consumer);
    view = look();
    consumer = consume(); /* the consumer's lock is free */
    spool_view_free(view);
    spool_free(consumer);
    spool_free(producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_one_moment, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(tells_what_a_position_does_not_fit, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(counts_what_the_ring_holds_no_more, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(sees_old_rings_come_and_go, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(takes_a_misnamed_ring_for_the_same, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(says_what_is_damaged_or_not_there, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(only_looks, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
