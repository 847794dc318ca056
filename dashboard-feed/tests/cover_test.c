#include "cover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_next(const struct cover *cover, uint32_t shard, uint64_t low, uint64_t high)
{
    uint32_t found;
    struct cover_range range;
    assert_true(cover_next(cover, 0, &found, &range));
    assert_int_equal(found, shard);
    assert_int_equal(range.low, low);
    assert_int_equal(range.high, high);
}

static void empty_broker_gets_all_newest_first(void **state)
{
    struct cover cover;
    (void)state;
    cover_init(&cover, 2);
    assert_int_equal(cover_open(&cover), 0);
    cover_follow(&cover, 0, 0, 100);
    cover_follow(&cover, 1, 0, 150);
    assert_int_equal(cover_open(&cover), 2);
    expect_next(&cover, 1, 0, 150);
    cover_done(&cover, 1, 90); /* a page, down to 90 */
    expect_next(&cover, 0, 0, 100);
    assert_int_equal(cover_covered(&cover, 0, 0), 0);
    cover_done(&cover, 0, 0);
    assert_int_equal(cover_covered(&cover, 0, 0), 100);
    expect_next(&cover, 1, 0, 89);
    cover_done(&cover, 1, 1);
    assert_int_equal(cover_open(&cover), 0);
    assert_int_equal(cover_covered(&cover, 1, 0), 150);
}

static void mark_says_where_to_go_on(void **state)
{
    struct cover cover;
    (void)state;
    cover_init(&cover, 1);
    cover_follow(&cover, 0, 80, 100);
    expect_next(&cover, 0, 80, 100);
    assert_int_equal(cover_covered(&cover, 0, 0), 80);
    cover_heard(&cover, 0, 120);
    assert_int_equal(cover_covered(&cover, 0, 110), 80);
    cover_done(&cover, 0, 0);
    assert_int_equal(cover_covered(&cover, 0, 110), 109); /* 110 waits */
    assert_int_equal(cover_covered(&cover, 0, 0), 120);
}

static void nothing_missing_opens_nothing(void **state)
{
    struct cover cover;
    uint32_t shard;
    struct cover_range range;
    (void)state;
    cover_init(&cover, 1);
    cover_follow(&cover, 0, 100, 100);
    assert_false(cover_next(&cover, 0, &shard, &range));
    assert_int_equal(cover_covered(&cover, 0, 0), 100);
    cover_follow(&cover, 0, 100, 90); /* Redis went back: what comes now has to be heard */
    assert_int_equal(cover.shard[0].live, 90);
    assert_int_equal(cover_open(&cover), 0);
    cover_heard(&cover, 0, 80);
    assert_int_equal(cover.shard[0].live, 90);
}

static void interruption_adds_a_range(void **state)
{
    struct cover cover;
    (void)state;
    cover_init(&cover, 1);
    cover_follow(&cover, 0, 0, 1000);
    cover_done(&cover, 0, 600); /* (0, 599] is left */
    cover_follow(&cover, 0, 1000, 1500);
    expect_next(&cover, 0, 1000, 1500); /* the new one first */
    cover_done(&cover, 0, 0);
    expect_next(&cover, 0, 0, 599);
    assert_int_equal(cover_covered(&cover, 0, 0), 0);
    cover_follow(&cover, 0, 400, 2000); /* reaches into it */
    expect_next(&cover, 0, 0, 2000);
    assert_int_equal(cover.shard[0].n, 1);
}

/* The lowest of two ranges is what counts, with changes that wait above both, between and below. */
static void two_ranges_are_covered_up_to_the_lower(void **state)
{
    struct cover cover;
    (void)state;
    cover_init(&cover, 1);
    cover_follow(&cover, 0, 100, 200);
    cover_follow(&cover, 0, 300, 400);
    assert_int_equal(cover.shard[0].n, 2);
    assert_int_equal(cover_covered(&cover, 0, 0), 100);
    assert_int_equal(cover_covered(&cover, 0, 500), 100);
    assert_int_equal(cover_covered(&cover, 0, 250), 100);
    assert_int_equal(cover_covered(&cover, 0, 50), 49);
    cover_done(&cover, 0, 0); /* the upper one */
    assert_int_equal(cover_covered(&cover, 0, 0), 100);
    cover_done(&cover, 0, 0);
    assert_int_equal(cover_covered(&cover, 0, 0), 400);
}

static void too_many_ranges_are_merged(void **state)
{
    struct cover cover;
    (void)state;
    cover_init(&cover, 1);
    cover_follow(&cover, 0, 0, 100);
    cover_follow(&cover, 0, 1000, 1100);
    cover_follow(&cover, 0, 1200, 1300);
    cover_follow(&cover, 0, 3000, 3100);
    assert_int_equal(cover.shard[0].n, 4);
    cover_follow(&cover, 0, 5000, 5100);
    assert_int_equal(cover.shard[0].n, 4);
    expect_next(&cover, 0, 5000, 5100);
    cover_done(&cover, 0, 0);
    expect_next(&cover, 0, 3000, 3100);
    cover_done(&cover, 0, 0);
    expect_next(&cover, 0, 1000, 1300); /* these were closest */
    cover_done(&cover, 0, 0);
    expect_next(&cover, 0, 0, 100);
    cover_clear(&cover, 0);
    assert_int_equal(cover_open(&cover), 0);
    assert_int_equal(cover.shard[0].live, 5100);
}

static void a_busy_shard_holds_up_no_other(void **state)
{
    struct cover cover;
    struct cover_range range;
    uint32_t shard;
    (void)state;
    cover_init(&cover, 3);
    cover_follow(&cover, 0, 0, 100);
    cover_follow(&cover, 2, 0, 200);
    assert_true(cover_next(&cover, 0, &shard, &range) && shard == 2);
    assert_true(cover_next(&cover, 1u << 2, &shard, &range) && shard == 0);
    assert_int_equal(range.high, 100);
    assert_false(cover_next(&cover, 1u << 2 | 1u << 0, &shard, &range));
    cover_clear(&cover, 2);
    assert_true(cover_next(&cover, 0, &shard, &range) && shard == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_broker_gets_all_newest_first),
        cmocka_unit_test(mark_says_where_to_go_on),
        cmocka_unit_test(nothing_missing_opens_nothing),
        cmocka_unit_test(interruption_adds_a_range),
        cmocka_unit_test(two_ranges_are_covered_up_to_the_lower),
        cmocka_unit_test(too_many_ranges_are_merged),
        cmocka_unit_test(a_busy_shard_holds_up_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
