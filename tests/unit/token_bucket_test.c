#include "unit.h"

#include "core/token_bucket.h"

#define NOW_MS 86400000

static void is_full_at_first(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 2000, 200);
    assert_int_equal(token_bucket_left(&bucket), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS), 200);
    assert_int_equal(token_bucket_left(&bucket), 200);
}

static void is_empty_at_time_0(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 2000, 200);
    assert_int_equal(token_bucket_refill(&bucket, 0), 0);
    assert_int_equal(token_bucket_refill(&bucket, 20), 40);
}

static void refills_at_its_rate_up_to_the_maximum(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 50, 5);
    token_bucket_refill(&bucket, NOW_MS);
    token_bucket_take(&bucket, 5);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 19), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 20), 1);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 60), 3);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 1000), 5);
    token_bucket_take(&bucket, 1);
    assert_int_equal(token_bucket_left(&bucket), 4);
}

static void keeps_fractions(void **state)
{
    struct token_bucket bucket;
    size_t taken = 0;
    (void)state;
    token_bucket_init(&bucket, 0.5, 1);
    token_bucket_refill(&bucket, NOW_MS);
    token_bucket_take(&bucket, 1);
    for (uint64_t ms = 0; ms < 20000; ms += 250) {
        size_t left = token_bucket_refill(&bucket, NOW_MS + 250 + ms);
        token_bucket_take(&bucket, left);
        taken += left;
    }
    assert_int_equal(taken, 10);
}

static void repays_a_debt_first(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 1000, 10);
    token_bucket_refill(&bucket, NOW_MS);
    token_bucket_take(&bucket, 30);
    assert_int_equal(token_bucket_left(&bucket), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 20), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 21), 1);
}

static void takes_back_what_was_not_used(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 1000, 10);
    token_bucket_refill(&bucket, NOW_MS);
    token_bucket_take(&bucket, 8);
    token_bucket_give_back(&bucket, 8);
    assert_int_equal(token_bucket_left(&bucket), 10);
    token_bucket_give_back(&bucket, 1);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS), 10);
}

static void a_clock_set_back_adds_nothing(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_init(&bucket, 1000, 10);
    token_bucket_refill(&bucket, NOW_MS);
    token_bucket_take(&bucket, 10);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS - 1000), 0);
    assert_int_equal(token_bucket_refill(&bucket, NOW_MS + 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_full_at_first),
        cmocka_unit_test(is_empty_at_time_0),
        cmocka_unit_test(refills_at_its_rate_up_to_the_maximum),
        cmocka_unit_test(keeps_fractions),
        cmocka_unit_test(repays_a_debt_first),
        cmocka_unit_test(takes_back_what_was_not_used),
        cmocka_unit_test(a_clock_set_back_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
