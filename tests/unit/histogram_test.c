/* Bounds are inclusive, values outside them are kept, and nothing is counted twice. */
#include "core/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const double bounds[] = {0.001, 0.01, 1};

static void counts_up_to_and_with_a_bound(void **state)
{
    struct histogram histogram;
    (void)state;
    histogram_init(&histogram, bounds, 3);
    assert_int_equal(histogram_up_to(&histogram, 3), 0);
    histogram_add(&histogram, 0.0005);
    histogram_add(&histogram, 0.001);
    histogram_add(&histogram, 0.0011);
    histogram_add(&histogram, 1);
    histogram_add(&histogram, 1.5);
    assert_int_equal(histogram_up_to(&histogram, 0), 2);
    assert_int_equal(histogram_up_to(&histogram, 1), 3);
    assert_int_equal(histogram_up_to(&histogram, 2), 4);
    assert_int_equal(histogram_up_to(&histogram, 3), 5);
    assert_int_equal(histogram_up_to(&histogram, 99), 5);
    assert_true(fabs(histogram.sum - 2.5026) < 1e-9);
}

static void odd_values_count_as_nothing(void **state)
{
    struct histogram histogram;
    (void)state;
    histogram_init(&histogram, bounds, 3);
    histogram_add(&histogram, -5);
    histogram_add(&histogram, NAN);
    assert_int_equal(histogram_up_to(&histogram, 0), 2);
    assert_true(histogram.sum == 0);
    histogram_add(&histogram, INFINITY);
    assert_int_equal(histogram_up_to(&histogram, 2), 2);
    assert_int_equal(histogram_up_to(&histogram, 3), 3);
}

static void holds_no_more_bounds_than_there_is_room_for(void **state)
{
    double many[HISTOGRAM_BOUNDS_MAX + 2];
    struct histogram histogram;
    (void)state;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS_MAX + 2; i++)
        many[i] = (double)i;
    histogram_init(&histogram, many, HISTOGRAM_BOUNDS_MAX + 2);
    assert_int_equal(histogram.n, HISTOGRAM_BOUNDS_MAX);
    histogram_add(&histogram, HISTOGRAM_BOUNDS_MAX + 1);
    assert_int_equal(histogram_up_to(&histogram, HISTOGRAM_BOUNDS_MAX - 1), 0);
    assert_int_equal(histogram_up_to(&histogram, HISTOGRAM_BOUNDS_MAX), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_to_and_with_a_bound),
        cmocka_unit_test(odd_values_count_as_nothing),
        cmocka_unit_test(holds_no_more_bounds_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
