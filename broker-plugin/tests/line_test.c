#include "unit.h"

#include "line.h"

#include <stdarg.h>

static char out[LINE_MAX_BYTES];

static void made(const char *level, const char *msg, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_format(out, level, msg, format, arguments);
    va_end(arguments);
}

static void makes_logfmt(void **state)
{
    (void)state;
    made("info", "ready", "a=%d b=\"%s\" c=%s d=\"%s\"", 1, "x y", "x y", "z");
    assert_string_equal(
        out, "level=info program=tally-broker-plugin msg=\"ready\" a=1 b=\"x y\" c=\"x y\" d=z");
    made("error", "bad", "%s", "");
    assert_string_equal(out, "level=error program=tally-broker-plugin msg=\"bad\"");
}

static void lets_nothing_forge_a_line(void **state)
{
    (void)state;
    made("info", "a\"\nb\x7f", "k=\"%s\" l=%s", "x\" m=1", "\r\x1b[0m=");
    assert_string_equal(out, "level=info program=tally-broker-plugin msg=\"a\\\"\\nb\\u007f\" "
                             "k=\"x\\\" m=1\" l=\"\\u000d\\u001b[0m=\"");
}

static void is_a_format_that_prints_itself(void **state)
{
    char printed[LINE_MAX_BYTES];
    (void)state;
    made("info", "100% %s", "n=%s", "%n");
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
    made("info", text, "k=%s", text);
    size_t bytes = strlen(out);
    assert_true(bytes < LINE_MAX_BYTES);
    assert_true(bytes > LINE_MAX_BYTES - 128);
    assert_int_equal(out[bytes - 1], '"');
    made("info", "short", "k=%s", text);
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
