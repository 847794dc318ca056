#include "unit.h"

#include "latency.h"

/* Against the sorted values themselves. */
static void a_quantile_is_at_most_a_sixteenth_too_long(void **state)
{
    static uint64_t sorted[10000];
    static struct latency latency;
    uint64_t random = 7;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sorted); i++) {
        uint64_t ns = unit_random(&random) >> (unit_random(&random) % 64);
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > ns; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = ns;
        latency_add(&latency, ns);
    }
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t exact = sorted[i * COUNT_OF(sorted) / 1000];
        uint64_t said = latency_quantile(&latency, i / 1000.0 + 1e-9);
        require(said >= exact && said - exact <= exact / 16, "quantile %u: %llu for %llu", i,
                (unsigned long long)said, (unsigned long long)exact);
    }
    assert_true(latency_quantile(&latency, 1) >= sorted[COUNT_OF(sorted) - 1]);
}

static void the_ends_are_known(void **state)
{
    static struct latency empty, one, extreme;
    (void)state;
    assert_int_equal(latency_quantile(&empty, 0.5), 0);
    latency_add(&one, 15);
    assert_int_equal(latency_quantile(&one, 0.99), 15);
    latency_add(&extreme, UINT64_MAX);
    assert_true(latency_quantile(&extreme, 0.5) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantile_is_at_most_a_sixteenth_too_long),
        cmocka_unit_test(the_ends_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
