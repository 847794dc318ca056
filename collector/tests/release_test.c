#include "unit.h"

#include "release.h"

#define HELD 1000

static struct batch_point at(uint64_t position)
{
    return (struct batch_point){position, position / 10};
}

static void assert_moves(struct release *release, uint64_t gone, uint64_t position)
{
    struct batch_point point;
    assert_true(release_next(release, gone, UINT64_MAX, HELD, &point));
    assert_int_equal(point.position, position);
    assert_int_equal(point.sequence, position / 10);
    assert_false(release_next(release, gone, UINT64_MAX, HELD, &point));
}

static void assert_rests(struct release *release, uint64_t gone)
{
    struct batch_point point;
    assert_false(release_next(release, gone, UINT64_MAX, HELD, &point));
}

static void test_moves_behind_receipts_that_are_gone(void **state)
{
    struct release release;
    (void)state;
    release_begin(&release, 0);
    assert_rests(&release, 0);
    release_add(&release, at(100), 0, 0); /* none asked for a receipt */
    assert_moves(&release, 0, 100);
    release_add(&release, at(200), 3, 0);
    release_add(&release, at(300), 3, 0); /* the batch has no receipts */
    release_add(&release, at(400), 5, 0);
    assert_rests(&release, 2);
    assert_moves(&release, 3, 300);
    assert_rests(&release, 4);
    release_add(&release, at(500), 6, 0);
    assert_moves(&release, 6, 500);
    assert_rests(&release, 6);
}

static void test_holds_back_no_more_than_its_share(void **state)
{
    struct release release;
    (void)state;
    release_begin(&release, 5000);
    release_add(&release, at(5400), 1, 0);
    release_add(&release, at(6000), 2, 0); /* 1,000 bytes: as much as it may */
    assert_rests(&release, 0);
    release_add(&release, at(6010), 3, 0);
    assert_moves(&release, 0, 5400);
    release_add(&release, at(9000), 4, 0);
    assert_moves(&release, 0, 9000);
    release_add(&release, at(9010), 5, 0);
    assert_rests(&release, 4);
    assert_moves(&release, 5, 9010);
}

static void test_many_batches_are_noted_together(void **state)
{
    struct release release;
    (void)state;
    release_begin(&release, 0);
    for (uint64_t i = 1; i <= 3 * RELEASE_BATCHES_MAX; i++)
        release_add(&release, at(i), i, 0);
    assert_moves(&release, RELEASE_BATCHES_MAX - 1, RELEASE_BATCHES_MAX - 1);
    assert_rests(&release, 3 * RELEASE_BATCHES_MAX - 1);
    assert_moves(&release, 3 * RELEASE_BATCHES_MAX, 3 * RELEASE_BATCHES_MAX);
    /* Over the end of the list. */
    for (uint64_t i = 1; i <= 1000; i++) {
        release_add(&release, at(1000 + i), 1000 + i, 0);
        if (i % 3 == 0)
            assert_moves(&release, 1000 + i - 1, 1000 + i - 1);
    }
}

static void test_begins_elsewhere(void **state)
{
    struct release release;
    (void)state;
    release_begin(&release, 0);
    release_add(&release, at(900), 1, 0);
    release_add(&release, at(950), 2, 0);
    release_begin(&release, 100); /* Redis went back: 900 is not applied any more */
    assert_rests(&release, 2);
    release_add(&release, at(200), 3, 0);
    assert_moves(&release, 3, 200);
}

/* However many receipts are gone, and however much of the ring it holds back. */
static void test_waits_for_a_replica(void **state)
{
    struct release release;
    struct batch_point point;
    (void)state;
    release_begin(&release, 0);
    assert_true(release_empty(&release));
    release_add(&release, at(100), 0, 7);
    release_add(&release, at(5000), 1, 8);
    assert_false(release_next(&release, 1, 6, HELD, &point));
    assert_true(release_next(&release, 1, 7, HELD, &point));
    assert_int_equal(point.position, 100);
    assert_false(release_next(&release, 1, 7, HELD, &point));
    release_moment(&release, 2); /* another server counts from its own beginning */
    assert_false(release_empty(&release));
    assert_false(release_next(&release, 1, 1, HELD, &point));
    assert_true(release_next(&release, 1, 2, HELD, &point));
    assert_int_equal(point.position, 5000);
    assert_true(release_empty(&release));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_behind_receipts_that_are_gone),
        cmocka_unit_test(test_holds_back_no_more_than_its_share),
        cmocka_unit_test(test_many_batches_are_noted_together),
        cmocka_unit_test(test_begins_elsewhere),
        cmocka_unit_test(test_waits_for_a_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
