#include "unit.h"

#include "ack.h"

#define HELD 1000

static struct take_point at(uint64_t position)
{
    return (struct take_point){position, position / 10};
}

static void assert_moves(struct ack *ack, uint64_t gone, uint64_t position)
{
    struct take_point point;
    assert_true(ack_take(ack, gone, HELD, &point));
    assert_int_equal(point.position, position);
    assert_int_equal(point.sequence, position / 10);
    assert_false(ack_take(ack, gone, HELD, &point));
}

static void assert_rests(struct ack *ack, uint64_t gone)
{
    struct take_point point;
    assert_false(ack_take(ack, gone, HELD, &point));
}

static void test_moves_behind_receipts_that_are_gone(void **state)
{
    struct ack ack;
    (void)state;
    ack_begin(&ack, 0);
    assert_rests(&ack, 0);
    ack_add(&ack, at(100), 0); /* none asked for a receipt */
    assert_moves(&ack, 0, 100);
    ack_add(&ack, at(200), 3);
    ack_add(&ack, at(300), 3); /* none of its own */
    ack_add(&ack, at(400), 5);
    assert_rests(&ack, 2);
    assert_moves(&ack, 3, 300);
    assert_rests(&ack, 4);
    ack_add(&ack, at(500), 6);
    assert_moves(&ack, 6, 500);
    assert_rests(&ack, 6);
}

static void test_holds_back_no_more_than_its_share(void **state)
{
    struct ack ack;
    (void)state;
    ack_begin(&ack, 5000);
    ack_add(&ack, at(5400), 1);
    ack_add(&ack, at(6000), 2); /* 1,000 bytes: as much as it may */
    assert_rests(&ack, 0);
    ack_add(&ack, at(6010), 3);
    assert_moves(&ack, 0, 5400);
    ack_add(&ack, at(9000), 4);
    assert_moves(&ack, 0, 9000);
    ack_add(&ack, at(9010), 5);
    assert_rests(&ack, 4);
    assert_moves(&ack, 5, 9010);
}

static void test_many_batches_are_noted_together(void **state)
{
    struct ack ack;
    (void)state;
    ack_begin(&ack, 0);
    for (uint64_t i = 1; i <= 3 * ACK_BATCHES_MAX; i++)
        ack_add(&ack, at(i), i);
    assert_moves(&ack, ACK_BATCHES_MAX - 1, ACK_BATCHES_MAX - 1);
    assert_rests(&ack, 3 * ACK_BATCHES_MAX - 1);
    assert_moves(&ack, 3 * ACK_BATCHES_MAX, 3 * ACK_BATCHES_MAX);
    /* Over the end of the list. */
    for (uint64_t i = 1; i <= 1000; i++) {
        ack_add(&ack, at(1000 + i), 1000 + i);
        if (i % 3 == 0)
            assert_moves(&ack, 1000 + i - 1, 1000 + i - 1);
    }
}

static void test_begins_elsewhere(void **state)
{
    struct ack ack;
    (void)state;
    ack_begin(&ack, 0);
    ack_add(&ack, at(900), 1);
    ack_add(&ack, at(950), 2);
    ack_begin(&ack, 100); /* Redis went back: 900 is not applied any more */
    assert_rests(&ack, 2);
    ack_add(&ack, at(200), 3);
    assert_moves(&ack, 3, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_behind_receipts_that_are_gone),
        cmocka_unit_test(test_holds_back_no_more_than_its_share),
        cmocka_unit_test(test_many_batches_are_noted_together),
        cmocka_unit_test(test_begins_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
