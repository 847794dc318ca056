#include "unit.h"

#include "line.h"

static char out[LINE_MAX_BYTES];

static void makes_logfmt(void **state)
{
    (void)state;
    line_format(out, "info", "ready", "a=1 b=\"x y\"");
    assert_string_equal(out, "level=info program=tally-broker-plugin msg=\"ready\" a=1 b=\"x y\"");
    line_format(out, "error", "bad", "");
    assert_string_equal(out, "level=error program=tally-broker-plugin msg=\"bad\"");
}

static void lets_nothing_forge_a_line(void **state)
{
    (void)state;
    line_format(out, "info", "a\"\nb\x7f", "k=\r\x1b[0m");
    assert_string_equal(out, "level=info program=tally-broker-plugin msg=\"a'?b?\" k=??[0m");
}

static void is_a_format_that_prints_itself(void **state)
{
    char printed[LINE_MAX_BYTES];
    (void)state;
    line_format(out, "info", "100% %s", "n=%n");
    assert_string_equal(out, "level=info program=tally-broker-plugin msg=\"100%% %%s\" n=%%n");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    snprintf(printed, sizeof printed, out);
#pragma GCC diagnostic pop
    assert_string_equal(printed, "level=info program=tally-broker-plugin msg=\"100% %s\" n=%n");
}

static void cuts_what_is_too_long(void **state)
{
    static char text[2 * LINE_MAX_BYTES];
    (void)state;
    memset(text, '%', sizeof text - 1);
    line_format(out, "info", text, text);
    size_t bytes = strlen(out);
    assert_true(bytes < LINE_MAX_BYTES);
    assert_true(bytes > LINE_MAX_BYTES - 8);
    line_format(out, "info", "short", text);
    assert_true(strlen(out) < LINE_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_logfmt),
        cmocka_unit_test(lets_nothing_forge_a_line),
        cmocka_unit_test(is_a_format_that_prints_itself),
        cmocka_unit_test(cuts_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
