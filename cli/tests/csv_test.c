#include "unit.h"

#include "csv.h"

#define FIELDS_MAX 5

/* The fields with | between; "!" and why if there are none. */
static void split(const char *text, size_t bytes, char *out, size_t out_bytes)
{
    char line[64];
    struct csv_field fields[FIELDS_MAX];
    const char *why = NULL;
    size_t used = 0;
    memcpy(line, text, bytes);
    int n = csv_split(line, bytes, fields, FIELDS_MAX, &why);
    if (n < 0) {
        assert_non_null(why);
        snprintf(out, out_bytes, "!");
        return;
    }
    for (int i = 0; i < n; i++) {
        assert_int_equal(strlen(fields[i].text), fields[i].bytes);
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", i > 0 ? "|" : "",
                                 fields[i].text);
    }
}

static void test_lines(void **state)
{
    static const struct {
        const char *line, *fields;
    } rows[] = {
        {"", ""},
        {"a", "a"},
        {"a,b", "a|b"},
        {",", "|"},
        {"a,,b,", "a||b|"},
        {" a , b ", " a | b "},
        {"\"a\",b", "a|b"},
        {"\"a,b\",c", "a,b|c"},
        {"\"\"", ""},
        {"\"\",\"\"", "|"},
        {"\"a\"\"b\",\"\"\"\"", "a\"b|\""},
        {"a,b,c,d,e", "a|b|c|d|e"},
        /* must not */
        {"\"a", "!"},
        {"a\"", "!"},
        {"a\"b\"", "!"},
        {"\"a\"b", "!"},
        {"\"a\" ,b", "!"},
        {"\"", "!"},
        {"\"\"\"", "!"},
        {"a,\"", "!"},
        {"a,b,c,d,e,f", "!"},
        {",,,,,", "!"},
    };
    char got[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        split(rows[i].line, strlen(rows[i].line), got, sizeof got);
        require(strcmp(got, rows[i].fields) == 0, "%s: %s", rows[i].line, got);
    }
    split("a\0b", 3, got, sizeof got);
    assert_string_equal(got, "!");
}

static void test_what_is_written_is_read_again(void **state)
{
    static const char *const texts[] = {"",    "a",      "a,b",  "\"",      "a\"b\"", ",",
                                        "a b", "x\r\ny", "\"\"", "a,\"b\"", "world/a"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *line;
        size_t bytes;
        struct csv_field fields[FIELDS_MAX];
        const char *why;
        FILE *out = open_memstream(&line, &bytes);
        assert_non_null(out);
        csv_write(out, texts[i]);
        fputs(",x", out);
        fputc('\0', out); /* the byte of room */
        assert_int_equal(fclose(out), 0);
        require(csv_split(line, bytes - 1, fields, FIELDS_MAX, &why) == 2, "%s", texts[i]);
        assert_string_equal(fields[0].text, texts[i]);
        assert_string_equal(fields[1].text, "x");
        free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
