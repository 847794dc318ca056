#include "unit.h"

#include "import_file.h"

static const struct audit_kinds kinds = {.name = {"", "like", "sad"}};
static struct error error;

/* The articles as "a like=1 sad=0 line=2;…"; "!" and why where the file is refused. */
static const char *read_bytes(const char *text, size_t bytes, enum rows_format format)
{
    static char out[ERROR_MAX_BYTES + 1];
    size_t used = 0;
    struct table *table = table_new();
    FILE *in = fmemopen((void *)(uintptr_t)text, bytes, "r");
    assert_non_null(table);
    assert_non_null(in);
    int rc = import_file_read(in, format, &kinds, table, &error);
    (void)fclose(in);
    out[0] = '\0';
    if (rc != 0)
        snprintf(out, sizeof out, "!%s", error.text);
    for (const struct table_entry *one = table_next(table, NULL); one != NULL && rc == 0;
         one = table_next(table, one))
        used += (size_t)snprintf(out + used, sizeof out - used, "%s %lld %lld %llu%s;",
                                 one->article, (long long)one->count[1], (long long)one->count[2],
                                 (unsigned long long)one->line, one->registers ? " r" : "");
    table_free(table);
    return out;
}

static const char *read_text(const char *text, enum rows_format format)
{
    return read_bytes(text, strlen(text), format);
}

static void test_files(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"article,kind,count\na,like,1\n", "a 1 0 2;"},
        {"article,kind,count\r\na,like,1\r\n\r\nb,sad,2", "a 1 0 2;b 0 2 4;"},
        {"\xef\xbb\xbf"
         "article,kind,count\na,like,1\n",
         "a 1 0 2;"},
        {"article,kind,count\nb,sad,2\na,like,1\nb,like,3\n", "b 3 2 4;a 1 0 3;"},
        {"article,registers:like,base:like,base:sad\na,1,2,3\n", "a 3 3 2 r;"},
        /* must not */
        {"\n", "!there is no article in it"},
        {"article,kind,count\n", "!there is no article in it"},
        {"a,like,1\n", "!line 1: the header's column \"a\" is unknown"},
        {"{\"article\":\"a\",\"kind\":\"like\",\"count\":1}\n",
         "!line 1: a JSON object, but lines of CSV are asked for: --format=jsonl"},
        {"article,kind,count\na,like,1\na,like,1\n", "!line 3: a: line 2 says that already"},
        {"article,base:like\na,1\nb,2\na,1\n", "!line 4: a: line 2 says that already"},
        {"article,kind,count\na,like,9007199254740991\na,sad,1\n",
         "!line 3: a: its counts are over 9007199254740991 together"},
        {"article,kind,count\n\na,meh,1\n", "!line 3: meh is not a kind of the store"},
        {"article,kind,count\n\"a\nb\",like,1\n",
         "!line 2: a quote that is not closed, or is inside a field"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *said = read_text(rows[i].text, ROWS_CSV);
        require(strcmp(said, rows[i].said) == 0, "%s: %s", rows[i].text, said);
    }
    assert_string_equal(read_text("{\"article\":\"a\",\"kind\":\"like\",\"count\":1}\r\n"
                                  "{\"article\":\"a\",\"kind\":\"sad\",\"count\":2}\n",
                                  ROWS_JSONL),
                        "a 1 2 2;");
    assert_string_equal(read_text("{\"article\":\"a\",\"kind\":\"like\",\"count\":1}\n"
                                  "{\"article\":\"a\",\"base\":{}}\n",
                                  ROWS_JSONL),
                        "!line 2: a: line 1 says that already");
    static const char nul[] = "article,kind,count\na\0b,like,1\n";
    assert_string_equal(read_bytes(nul, sizeof nul - 1, ROWS_CSV), "!line 2: a NUL byte");
}

static void test_the_longest_line(void **state)
{
    static char text[3 * ROWS_LINE_MAX_BYTES];
    static const char begin[] = "article,kind,count\na,like,";
    (void)state;
    for (int over = 0; over <= 1; over++)
        for (int end = 0; end < 3; end++) {
            static const char *const ends[] = {"\n", "\r\n", ""};
            size_t digits = ROWS_LINE_MAX_BYTES - strlen("a,like,") + (size_t)over;
            memcpy(text, begin, sizeof begin);
            memset(text + strlen(begin), '0', digits);
            memcpy(text + strlen(begin) + digits, ends[end], strlen(ends[end]) + 1);
            const char *said = read_text(text, ROWS_CSV);
            require(strcmp(said, over ? "!line 2: longer than 4096 bytes" : "a 0 0 2;") == 0, "%s",
                    said);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_longest_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
