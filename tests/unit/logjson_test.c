#include "unit.h"

#include "core/logjson.h"

#include <stdarg.h>

static char out[8192];

static const char *made(size_t bytes, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static const char *made(size_t bytes, const char *msg, const char *format, ...)
{
    struct logjson line;
    va_list arguments;
    memset(out, 'x', sizeof out);
    logjson_begin(&line, out, bytes);
    logjson_text(&line, "msg", msg);
    va_start(arguments, format);
    logjson_pairs(&line, format, arguments);
    va_end(arguments);
    logjson_end(&line);
    assert_int_equal(strlen(out), line.used);
    assert_true(line.used < bytes);
    assert_int_equal(out[bytes], 'x');
    return out;
}

static void tells_numbers_from_texts(void **state)
{
    (void)state;
    assert_string_equal(made(512, "up", "host=%s port=%d why=\"%s\" ms=%.1f n=%zu id=%016x", "7",
                             -1, "a b=c", 2.5, sizeof(char), 10u),
                        "{\"msg\":\"up\",\"host\":\"7\",\"port\":-1,\"why\":\"a b=c\",\"ms\":2.5,"
                        "\"n\":1,\"id\":\"000000000000000a\"}");
    assert_string_equal(made(512, "", "a=%s b=%d/%d c=%dms d=%03d e=%e", "", 1, 2, 3, 4, 1.5e30),
                        "{\"msg\":\"\",\"a\":\"\",\"b\":\"1/2\",\"c\":\"3ms\",\"d\":\"004\","
                        "\"e\":1.500000e+30}");
    assert_string_equal(made(512, "m", "a=%f b=%f", 1.0 / 0.0, -0.5),
                        "{\"msg\":\"m\",\"a\":\"inf\",\"b\":-0.500000}");
}

static void lets_nothing_forge_a_member_or_a_line(void **state)
{
    (void)state;
    assert_string_equal(made(512, "m\"\n\\", "a=%s b=%s", "x\",\"b\":1} c=2\r", "\x1b[0m\x7f"),
                        "{\"msg\":\"m\\\"\\n\\\\\",\"a\":\"x\\\",\\\"b\\\":1} c=2\\u000d\","
                        "\"b\":\"\\u001b[0m\\u007f\"}");
    /* A key is the format's alone. */
    assert_string_equal(made(512, "m", "%s k=%s", "forged=1", "v"), "{\"msg\":\"m\",\"k\":\"v\"}");
}

static void writes_characters_and_what_is_none(void **state)
{
    (void)state;
    assert_string_equal(made(512, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\x9b", "k=%s", "v"),
                        "{\"msg\":\"\\u00e9 \\u20ac \\ud83d\\ude00 \\u009b\",\"k\":\"v\"}");
    /* A lone continuation, an overlong form, a surrogate, one beyond Unicode, a cut character. */
    assert_string_equal(
        made(512, "\x80.\xc0\xaf.\xed\xa0\x80.\xf4\x90\x80\x80.\xe2\x82", "k=%s", "v"),
        "{\"msg\":\"\\ufffd.\\ufffd\\ufffd.\\ufffd\\ufffd\\ufffd."
        "\\ufffd\\ufffd\\ufffd\\ufffd.\\ufffd\\ufffd\",\"k\":\"v\"}");
}

/* At every length: ends as an object, and no escape is cut. */
static void cuts_at_a_whole_character(void **state)
{
    static const char whole[] = "\\ud83d\\ude00";
    char text[401];
    (void)state;
    for (size_t i = 0; i + 4 < sizeof text; i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
    text[sizeof text - 1] = '\0';
    for (size_t bytes = 64; bytes < 1600; bytes++) {
        made(bytes, text, "key=%s n=%d", text, 123456);
        const char *at = out + strlen("{\"msg\":\"");
        while (strncmp(at, whole, sizeof whole - 1) == 0)
            at += sizeof whole - 1;
        if (strncmp(at, "\",\"key\":\"", 9) == 0)
            for (at += 9; strncmp(at, whole, sizeof whole - 1) == 0;)
                at += sizeof whole - 1;
        require(strcmp(at, "\"}") == 0 || strcmp(at, "\",\"n\":123456}") == 0, "%zu: %s", bytes,
                at);
    }
}

/* The printed pairs are cut at 2,047 bytes. */
static void leaves_out_a_cut_number_and_half_a_character(void **state)
{
    char text[2048];
    (void)state;
    memset(text, 'a', sizeof text);
    text[2042] = '\0'; /* "k=…" has 2,044 bytes; " n=123" has six */
    made(4096, "m", "k=%s n=%d", text, 123);
    assert_null(strstr(out, "\"n\""));
    text[2039] = '\0';
    made(4096, "m", "k=%s n=%d", text, 123);
    assert_non_null(strstr(out, "\"n\":123}"));
    memcpy(text + 2043, "\xe2\x82\xac", 4);
    text[2039] = text[2040] = text[2041] = text[2042] = 'a';
    made(4096, "m", "k=%s", text);
    assert_null(strstr(out, "\\u"));
    memcpy(text + 2042, "\xe2\x82\xac", 4);
    made(4096, "m", "k=%s", text);
    assert_non_null(strstr(out, "a\\u20ac\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_numbers_from_texts),
        cmocka_unit_test(lets_nothing_forge_a_member_or_a_line),
        cmocka_unit_test(writes_characters_and_what_is_none),
        cmocka_unit_test(cuts_at_a_whole_character),
        cmocka_unit_test(leaves_out_a_cut_number_and_half_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
