#include "unit.h"

#include "core/limit.h"

#define MS UINT64_C(1000000)
#define START (1000 * LIMIT_SECOND_NS)

static struct limit_rate rate;
static uint64_t bucket;
static struct limit_table *table;

static int begin(void **state)
{
    (void)state;
    rate = limit_rate_of(5, LIMIT_SECOND_NS, 20);
    bucket = 0;
    table = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    limit_table_free(table);
    return 0;
}

/* How many tokens are left at this time, up to `most`. */
static int take(int most, uint64_t now_ns)
{
    int taken = 0;
    while (taken < most && limit_left(&rate, bucket, now_ns)) {
        bucket = limit_taken(&rate, bucket, now_ns);
        taken++;
    }
    return taken;
}

static void gives_a_burst_and_then_its_rate(void **state)
{
    (void)state;
    assert_int_equal(take(100, START), 20);
    assert_int_equal(take(100, START + 199 * MS), 0);
    assert_int_equal(take(100, START + 200 * MS), 1);
    assert_int_equal(take(100, START + 399 * MS), 0);
    assert_int_equal(take(100, START + 400 * MS), 1);
    assert_int_equal(take(100, START + 1400 * MS), 5);
    /* Full again after 20 tokens' time, and never more than full. */
    assert_int_equal(take(100, START + 3600 * LIMIT_SECOND_NS), 20);
}

static void keeps_its_rate_for_long(void **state)
{
    int taken = 0;
    (void)state;
    for (uint64_t ms = 0; ms < 60000; ms += 7)
        taken += take(1, START + ms * MS);
    require_between(taken, 20 + 60 * 5 - 1, 20 + 60 * 5);
}

static void refusing_costs_nothing(void **state)
{
    (void)state;
    assert_int_equal(take(100, START), 20);
    for (int i = 0; i < 1000; i++)
        assert_false(limit_left(&rate, bucket, START + 100 * MS));
    assert_int_equal(take(100, START + 200 * MS), 1);
}

static void one_at_a_time(void **state)
{
    (void)state;
    rate = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1);
    assert_int_equal(take(5, START), 1);
    assert_int_equal(take(5, START + 59 * LIMIT_SECOND_NS), 0);
    assert_int_equal(take(5, START + 60 * LIMIT_SECOND_NS), 1);
}

/* A jump gives each bucket its burst once, and never shuts anybody out. */
static void survives_jumps_of_the_clock(void **state)
{
    (void)state;
    assert_int_equal(take(100, START), 20);
    uint64_t forward = START + 3600 * LIMIT_SECOND_NS;
    assert_int_equal(take(100, forward), 20);
    assert_int_equal(take(100, forward + MS), 0);
    assert_int_equal(take(100, START), 20);
    assert_int_equal(take(100, START + MS), 0);
    assert_int_equal(take(100, START + 200 * MS), 1);
    /* Back by less than a bucket: as if the time had stood still. */
    assert_int_equal(take(100, START + 100 * MS), 0);
    assert_int_equal(take(100, START + 400 * MS), 1);
    assert_int_equal(take(100, 0), 20);
    assert_int_equal(take(100, UINT64_MAX / 2), 20);
}

static void takes_the_widest_numbers(void **state)
{
    (void)state;
    rate = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1000000);
    for (int i = 0; i < 1000000; i++) {
        require(limit_left(&rate, bucket, START), "token %d", i);
        bucket = limit_taken(&rate, bucket, START);
    }
    assert_false(limit_left(&rate, bucket, START));
    rate = limit_rate_of(1000000, LIMIT_SECOND_NS, 1);
    bucket = 0;
    assert_int_equal(take(5, START), 1);
    assert_int_equal(take(5, START + 1000), 1);
}

static void a_charge_is_owed(void **state)
{
    (void)state;
    table = limit_table_new(1, &rate, 1);
    uint64_t *owed = limit_table_bucket(table, 1);
    limit_table_charge(table, owed, 19, START);
    assert_true(limit_table_left(table, owed, START));
    limit_table_charge(table, owed, 3, START);
    assert_false(limit_table_left(table, owed, START + 599 * MS));
    assert_true(limit_table_left(table, owed, START + 600 * MS));
    /* A burst is owed at most. */
    limit_table_charge(table, owed, 1000, START + 600 * MS);
    assert_false(limit_table_left(table, owed, START + 4799 * MS));
    assert_true(limit_table_left(table, owed, START + 4800 * MS));
}

static bool table_take(uint64_t key, uint64_t now_ns)
{
    uint64_t *of_key = limit_table_bucket(table, key);
    if (!limit_table_left(table, of_key, now_ns))
        return false;
    limit_table_take(table, of_key, now_ns);
    return true;
}

static void each_key_has_its_own(void **state)
{
    (void)state;
    rate = limit_rate_of(1, LIMIT_SECOND_NS, 2);
    table = limit_table_new(4, &rate, 99);
    assert_true(table_take(1, START));
    assert_true(table_take(1, START));
    assert_false(table_take(1, START));
    assert_true(table_take(2, START));
    assert_true(table_take(2, START));
    assert_false(table_take(2, START));
    assert_int_equal(limit_table_count(table), 2);
}

static void a_full_table_forgets_the_stalest(void **state)
{
    (void)state;
    rate = limit_rate_of(1, LIMIT_SECOND_NS, 1);
    table = limit_table_new(4, &rate, 99);
    for (uint64_t key = 1; key <= 4; key++)
        assert_true(table_take(key, START));
    assert_false(table_take(1, START + MS)); /* refused, but used: 2 is the stalest now */
    assert_true(table_take(5, START + MS));
    assert_int_equal(limit_table_count(table), 4);
    assert_false(table_take(1, START + MS));
    assert_false(table_take(3, START + MS));
    assert_false(table_take(4, START + MS));
    assert_true(table_take(2, START + MS)); /* as one that was never seen */
    assert_false(table_take(2, START + MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_a_burst_and_then_its_rate, begin, end),
        cmocka_unit_test_setup_teardown(keeps_its_rate_for_long, begin, end),
        cmocka_unit_test_setup_teardown(refusing_costs_nothing, begin, end),
        cmocka_unit_test_setup_teardown(one_at_a_time, begin, end),
        cmocka_unit_test_setup_teardown(survives_jumps_of_the_clock, begin, end),
        cmocka_unit_test_setup_teardown(takes_the_widest_numbers, begin, end),
        cmocka_unit_test_setup_teardown(a_charge_is_owed, begin, end),
        cmocka_unit_test_setup_teardown(each_key_has_its_own, begin, end),
        cmocka_unit_test_setup_teardown(a_full_table_forgets_the_stalest, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
