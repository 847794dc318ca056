#include "unit.h"

#include "core/stamp.h"

#define NOW_MS 1795510800123u
#define NOW ((NOW_MS - STAMP_EPOCH_UNIX_MS) * STAMP_COUNTS)

static void begins_at_now(void **state)
{
    uint64_t last = 0;
    (void)state;
    assert_int_equal(stamp_next(&last, NOW_MS), NOW);
    assert_int_equal(last, NOW);
    assert_int_equal(stamp_unix_ms(last), NOW_MS);
    assert_int_equal(stamp_unix_ms(last + STAMP_COUNTS - 1), NOW_MS);
}

static void rises_within_a_millisecond_and_beyond(void **state)
{
    uint64_t last = 0;
    (void)state;
    for (uint64_t i = 0; i < 3u * STAMP_COUNTS; i++)
        assert_int_equal(stamp_next(&last, NOW_MS), NOW + i);
    /* Three milliseconds' worth was given in one: the next one continues there. */
    assert_int_equal(stamp_next(&last, NOW_MS + 1), NOW + 3u * STAMP_COUNTS);
    assert_int_equal(stamp_next(&last, NOW_MS + 10), NOW + 10u * STAMP_COUNTS);
}

static void stands_a_clock_set_back_a_little(void **state)
{
    uint64_t last = NOW;
    (void)state;
    assert_int_equal(stamp_next(&last, NOW_MS - 1), NOW + 1);
    assert_int_equal(stamp_next(&last, NOW_MS - STAMP_AHEAD_MAX_MS + 1), NOW + 2);
}

static void counts_from_now_when_set_back_by_more(void **state)
{
    uint64_t ahead = (uint64_t)STAMP_AHEAD_MAX_MS * STAMP_COUNTS;
    uint64_t last = NOW + ahead;
    (void)state;
    assert_int_equal(stamp_next(&last, NOW_MS), NOW + ahead + 1);
    /* `last` is now more than two seconds ahead. */
    assert_int_equal(stamp_next(&last, NOW_MS), NOW);
    last = NOW;
    assert_int_equal(stamp_next(&last, NOW_MS - 3600000u), NOW - 3600000ull * STAMP_COUNTS);
    last = STAMP_MAX;
    assert_int_equal(stamp_next(&last, NOW_MS), NOW);
}

static void follows_a_clock_set_forward_and_back(void **state)
{
    uint64_t last = 0, before;
    (void)state;
    stamp_next(&last, NOW_MS);
    before = last;
    assert_int_equal(stamp_next(&last, NOW_MS + 86400000u), NOW + 86400000ull * STAMP_COUNTS);
    assert_int_equal(stamp_next(&last, NOW_MS + 1), before + STAMP_COUNTS);
}

/* Whatever a clock does that is never over two seconds behind its own maximum: every stamp is
 * larger than the one before. */
static void is_monotonic_under_jitter(void **state)
{
    uint64_t random = 7, last = 0, before = 0, now = NOW_MS;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        now += unit_random(&random) % 3;
        uint64_t jitter = unit_random(&random) % (STAMP_AHEAD_MAX_MS / 2);
        uint64_t stamp = stamp_next(&last, now - jitter);
        assert_true(stamp > before);
        before = stamp;
    }
}

static void stays_within_its_bits(void **state)
{
    uint64_t last = 0, late = 0;
    (void)state;
    assert_int_equal(stamp_next(&last, 0), 1);
    assert_int_equal(stamp_next(&last, STAMP_EPOCH_UNIX_MS - 1), 2);
    assert_int_equal(stamp_next(&last, UINT64_MAX), STAMP_MAX + 1 - STAMP_COUNTS);
    last = STAMP_MAX;
    assert_int_equal(stamp_next(&last, UINT64_MAX), STAMP_MAX);
    assert_true(stamp_late(&late, UINT64_MAX, 1) <= STAMP_MAX);
    assert_int_equal(stamp_late(&late, 0, 1000), 1);
    assert_int_equal(stamp_late(&late, STAMP_EPOCH_UNIX_MS + 5, UINT32_MAX), 2);
}

static void stamps_late_reactions_by_their_click(void **state)
{
    uint64_t late = 0;
    (void)state;
    uint64_t first = stamp_late(&late, NOW_MS, 86400000u);
    assert_int_equal(stamp_unix_ms(first), NOW_MS - 86400000u);
    assert_int_equal(stamp_late(&late, NOW_MS, 86400000u), first + 1);
    assert_int_equal(late, 2);
    late = STAMP_COUNTS - 1;
    assert_int_equal(stamp_late(&late, NOW_MS, 1), NOW - 1);
    assert_int_equal(stamp_late(&late, NOW_MS, 1), NOW - STAMP_COUNTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_at_now),
        cmocka_unit_test(rises_within_a_millisecond_and_beyond),
        cmocka_unit_test(stands_a_clock_set_back_a_little),
        cmocka_unit_test(counts_from_now_when_set_back_by_more),
        cmocka_unit_test(follows_a_clock_set_forward_and_back),
        cmocka_unit_test(is_monotonic_under_jitter),
        cmocka_unit_test(stays_within_its_bits),
        cmocka_unit_test(stamps_late_reactions_by_their_click),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
