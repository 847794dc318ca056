#include "unit.h"

#include "metric_label.h"

static const char metrics[] = "# HELP tally_x_info of\n"
                              "tally_x_info_more{version=\"no\"} 1\n"
                              "tally_x_info{a=\"1\",version=\"2.0\",b=\"\"} 1\n"
                              "tally_x_info{version=\"second\"} 1\n"
                              "tally_y{a=\"x\\\"y\",c=\"open\n";

static void test_labels(void **state)
{
    char out[8];
    (void)state;
    assert_int_equal(metric_label(metrics, "tally_x_info", "version", out, sizeof out), 0);
    assert_string_equal(out, "2.0");
    assert_int_equal(metric_label(metrics, "tally_x_info", "a", out, sizeof out), 0);
    assert_string_equal(out, "1");
    assert_int_equal(metric_label(metrics, "tally_x_info", "b", out, sizeof out), 0);
    assert_string_equal(out, "");
    assert_int_equal(metric_label("m{a=\"1\"} 1", "m", "a", out, sizeof out), 0);
    assert_string_equal(out, "1");
}

static void test_what_is_not_there(void **state)
{
    char out[4];
    (void)state;
    assert_int_equal(metric_label(metrics, "tally_x_info", "vers", out, sizeof out), -1);
    assert_int_equal(metric_label(metrics, "tally_x_info", "c", out, sizeof out), -1);
    assert_int_equal(metric_label(metrics, "tally_x", "a", out, sizeof out), -1);
    assert_int_equal(metric_label(metrics, "tally_x_info", "version", out, 3), -1);
    assert_int_equal(metric_label(metrics, "tally_y", "a", out, sizeof out), -1);
    assert_int_equal(metric_label(metrics, "tally_y", "c", out, sizeof out), -1);
    assert_int_equal(metric_label("", "m", "a", out, sizeof out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
