#include "unit.h"

#include "pace.h"

#define SECOND_NS UINT64_C(1000000000)

static void a_second_has_as_many_as_the_rate_says(void **state)
{
    static const uint64_t rates[] = {1, 3, 7, 1000, 33333, 999999, PACE_MAX_RATE};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        assert_int_equal(pace_due(rates[i], 0), 1); /* the first at once */
        for (uint64_t s = 1; s < 3600; s += 97) {
            assert_int_equal(pace_due(rates[i], s * SECOND_NS), rates[i] * s + 1);
            assert_int_equal(pace_due(rates[i], s * SECOND_NS - 1), rates[i] * s);
        }
    }
}

/* After exactly the wait that it asks for, one more is due, and none a nanosecond earlier. */
static void the_wait_ends_when_one_more_is_due(void **state)
{
    uint64_t random = 1;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t rate = 1 + unit_random(&random) % PACE_MAX_RATE;
        uint64_t elapsed = unit_random(&random) % (7200 * SECOND_NS),
                 sent = pace_due(rate, elapsed);
        uint64_t wait = pace_wait_ns(rate, elapsed, sent);
        require(wait > 0 && wait <= SECOND_NS / rate + 1, "rate %llu", (unsigned long long)rate);
        require(pace_due(rate, elapsed + wait - 1) == sent, "rate %llu", (unsigned long long)rate);
        require(pace_due(rate, elapsed + wait) == sent + 1, "rate %llu", (unsigned long long)rate);
        assert_int_equal(pace_wait_ns(rate, elapsed, sent - 1), 0);
    }
}

static void the_ends_do_not_overflow(void **state)
{
    (void)state;
    assert_true(pace_due(PACE_MAX_RATE, PACE_MAX_NS) >
                pace_due(PACE_MAX_RATE, PACE_MAX_NS - SECOND_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_has_as_many_as_the_rate_says),
        cmocka_unit_test(the_wait_ends_when_one_more_is_due),
        cmocka_unit_test(the_ends_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
