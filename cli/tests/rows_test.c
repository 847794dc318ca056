#include "unit.h"

#include "rows.h"

static const struct audit_kinds kinds = {.name = {"", "like", "sad", "", "wow"}};
static struct rows_reader reader;
static struct rows_line said;
static struct error error;

static int read_text(const char *text)
{
    char line[ROWS_LINE_MAX_BYTES + 1];
    size_t bytes = strlen(text);
    memcpy(line, text, bytes);
    error.text[0] = '\0';
    return rows_read(&reader, line, bytes, &said, &error);
}

static void begin(enum rows_format format, const char *header)
{
    rows_reader_init(&reader, format, &kinds);
    if (format == ROWS_CSV)
        require(read_text(header) == 0, "%s: %s", header, error.text);
}

static bool counts_are(int64_t like, int64_t sad, int64_t wow)
{
    return said.count[0] == 0 && said.count[1] == like && said.count[2] == sad &&
           said.count[3] == 0 && said.count[4] == wow;
}

/* --- headers --- */

static void test_headers(void **state)
{
    static const struct {
        const char *header;
        int result;
        bool whole;
    } rows[] = {
        {"article,kind,count", 0, false},
        {"count,article,kind", 0, false},
        {"\"article\",\"kind\",\"count\"", 0, false},
        {"article,base:like", 0, true},
        {"article,registers:wow", 0, true},
        {"base:sad,total,article,updated_at,version,registers:sad", 0, true},
        /* must not */
        {"article", -1, false},
        {"article,kind", -1, false},
        {"article,count", -1, false},
        {"kind,count", -1, false},
        {"base:like", -1, false},
        {"article,kind,count,base:like", -1, false},
        {"article,kind,count,total", -1, false},
        {"article,kind,base:like", -1, false},
        {"article,article,base:like", -1, false},
        {"article,base:like,base:like", -1, false},
        {"article,base:meh", -1, false},
        {"article,base:", -1, false},
        {"article,likes", -1, false},
        {"article,like", -1, false},
        {"Article,kind,count", -1, false},
        {"article;kind;count", -1, false},
        {"world/a,like,3", -1, false},
        {"\"article,kind,count", -1, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rows_reader_init(&reader, ROWS_CSV, &kinds);
        int result = read_text(rows[i].header);
        require(result == rows[i].result, "%s: %d %s", rows[i].header, result, error.text);
        require((result == 0) == (error.text[0] == '\0'), "%s", rows[i].header);
        if (result == 0)
            require(reader.whole == rows[i].whole, "%s", rows[i].header);
    }
}

/* --- lines --- */

static void test_single_lines(void **state)
{
    static const struct {
        const char *line;
        int result;
    } rows[] = {
        {"world/a,like,3", 1},
        {"\"world/a\",\"like\",\"3\"", 1},
        {"world/a,like,0003", 1},
        {"", 0},
        /* must not */
        {"world/a,like", -1},
        {"world/a,like,3,", -1},
        {"world//a,like,3", -1},
        {",like,3", -1},
        {"world/a ,like,3", -1},
        {"world/a,meh,3", -1},
        {"world/a,,3", -1},
        {"world/a,none,3", -1},
        {"world/a,Like,3", -1},
        {"world/a,like,", -1},
        {"world/a,like,-3", -1},
        {"world/a,like,+3", -1},
        {"world/a,like, 3", -1},
        {"world/a,like,3.0", -1},
        {"world/a,like,3e1", -1},
        {"world/a,like,0x3", -1},
        {"world/a,like,9007199254740992", -1},
        {"world/a,like,99999999999999999999999999", -1},
        {"world/a,\"like,3", -1},
    };
    (void)state;
    begin(ROWS_CSV, "article,kind,count");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int result = read_text(rows[i].line);
        require(result == rows[i].result, "%s: %d %s", rows[i].line, result, error.text);
        if (result == 1) {
            assert_string_equal(said.article, "world/a");
            assert_int_equal(said.article_bytes, 7);
            assert_false(said.whole);
            assert_false(said.registers);
            assert_int_equal(said.kind, 1);
            assert_true(counts_are(3, 0, 0));
        }
    }
    begin(ROWS_CSV, "count,kind,article");
    assert_int_equal(read_text("9007199254740991,wow,a"), 1);
    assert_true(counts_are(0, 0, ROWS_COUNT_MAX) && said.kind == 4);
}

static void test_lines_of_an_export(void **state)
{
    (void)state;
    begin(ROWS_CSV, "article,version,updated_at,total,registers:like,registers:sad,base:like");
    assert_int_equal(read_text("a,1795510800123456,2026-11-24T09:00:00.123Z,10,1,2,7"), 1);
    assert_true(said.whole && said.registers && counts_are(8, 2, 0));
    assert_int_equal(read_text("a,0,,7,0,0,7"), 1);
    assert_true(said.whole && !said.registers && counts_are(7, 0, 0));
    assert_int_equal(read_text("a,0,,9,0,0,7"), -1); /* another total */
    assert_int_equal(read_text("a,,,7,0,0,7"), -1);
    assert_int_equal(read_text("a,0,,,0,0,7"), -1);
    assert_int_equal(read_text("a,0,,7,,0,7"), -1);
    assert_int_equal(read_text("a,0,,7,0,0"), -1);
    assert_int_equal(read_text("a,0,,9007199254740991,9007199254740991,0,0"), 1);
    assert_int_equal(read_text("a,0,,9007199254740991,9007199254740991,0,1"), -1);
    assert_int_equal(read_text("a,0,,9007199254740991,9007199254740991,1,0"), -1);
    begin(ROWS_CSV, "article,registers:like");
    assert_int_equal(read_text("a,5"), 1);
    assert_true(said.registers && counts_are(5, 0, 0));
}

static void test_json_lines(void **state)
{
    static const struct {
        const char *line;
        int result;
    } rows[] = {
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3}", 1},
        {" { \"count\" : 3 , \"kind\":\"like\",\"article\":\"world\\/a\"} ", 1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":3}}", 1},
        {"{\"article\":\"world/a\",\"registers\":{\"like\":1},\"base\":{\"like\":2,\"sad\":0}}", 1},
        {"{\"article\":\"world/a\",\"version\":5,\"updated_at\":\"x\",\"total\":3,\"base\":{"
         "\"like\":3},\"registers\":{}}",
         1},
        {"", 0},
        /* must not */
        {"{\"article\":\"world/a\"}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\"}", -1},
        {"{\"kind\":\"like\",\"count\":3}", -1},
        {"{\"base\":{\"like\":3}}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3,\"base\":{}}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3,\"total\":3}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3,\"more\":3}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3,\"count\":3}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":1,\"like\":2}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"meh\":1}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"\":1}}", -1},
        {"{\"article\":\"world/a\",\"base\":[3]}", -1},
        {"{\"article\":\"world/a\",\"base\":null}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":3},\"total\":4}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":-3}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":0.5}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":\"3\"}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":9007199254740992}}", -1},
        {"{\"article\":\"world/a\",\"base\":{\"like\":1e400}}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"meh\",\"count\":3}", -1},
        {"{\"article\":\"world/a\",\"kind\":1,\"count\":3}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":-1}", -1},
        {"{\"article\":7,\"kind\":\"like\",\"count\":3}", -1},
        {"{\"article\":\"world//a\",\"kind\":\"like\",\"count\":3}", -1},
        {"{\"article\":\"world/a\\u0000\",\"kind\":\"like\",\"count\":3}", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3} x", -1},
        {"{\"article\":\"world/a\",\"kind\":\"like\",\"count\":3", -1},
        {"[]", -1},
        {"null", -1},
        {"article,kind,count", -1},
    };
    (void)state;
    begin(ROWS_JSONL, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int result = read_text(rows[i].line);
        require(result == rows[i].result, "%s: %d %s", rows[i].line, result, error.text);
        require((result < 0) == (error.text[0] != '\0'), "%s", rows[i].line);
        if (result != 1)
            continue;
        assert_string_equal(said.article, "world/a");
        assert_true(counts_are(3, 0, 0));
        assert_true(said.whole == (strstr(rows[i].line, "base") != NULL));
        assert_true(said.registers == (strstr(rows[i].line, "registers\":{\"like") != NULL));
    }
}

/* --- written --- */

static const struct rows_article row = {
    .article = "world/a",
    .version = 1795510800123456,
    .registers = {0, 3, 0, 0, 12},
    .base = {0, 9007199254740000, 1, 0, 0},
};

static char *written(enum rows_format format, const struct rows_article *one)
{
    static char text[ROWS_LINE_MAX_BYTES];
    char *made;
    size_t bytes;
    FILE *out = open_memstream(&made, &bytes);
    assert_non_null(out);
    rows_write_header(out, format, &kinds);
    rows_write(out, format, &kinds, one);
    assert_int_equal(fclose(out), 0);
    assert_true(bytes < sizeof text);
    memcpy(text, made, bytes + 1);
    free(made);
    return text;
}

static void test_writing(void **state)
{
    (void)state;
    assert_string_equal(written(ROWS_CSV, &row),
                        "article,version,updated_at,total,registers:like,registers:sad,"
                        "registers:wow,base:like,base:sad,base:wow\r\n"
                        "world/a,1795510800123456,2026-11-24T09:00:00.123Z,9007199254740016,3,0,"
                        "12,9007199254740000,1,0\r\n");
    assert_string_equal(written(ROWS_JSONL, &row),
                        "{\"article\":\"world/a\",\"version\":1795510800123456,\"updated_at\":"
                        "\"2026-11-24T09:00:00.123Z\",\"total\":9007199254740016,\"registers\":{"
                        "\"like\":3,\"sad\":0,\"wow\":12},\"base\":{\"like\":9007199254740000,"
                        "\"sad\":1,\"wow\":0}}\n");
}

static void test_the_longest_line_fits(void **state)
{
    struct audit_kinds all;
    struct rows_article long_row = {.version = UINT64_MAX};
    char article[ARTICLE_MAX_BYTES + 1] = "";
    (void)state;
    memset(&all, 0, sizeof all);
    memset(article, 'a', ARTICLE_MAX_BYTES);
    long_row.article = article;
    for (int id = 1; id <= KIND_MAX; id++) {
        snprintf(all.name[id], sizeof all.name[id], "a-kind-of-%06d", id);
        long_row.registers[id] = long_row.base[id] = INT64_MIN / 64;
    }
    for (int format = ROWS_CSV; format <= ROWS_JSONL; format++) {
        char *made;
        size_t bytes;
        FILE *out = open_memstream(&made, &bytes);
        assert_non_null(out);
        rows_write_header(out, (enum rows_format)format, &all);
        long header = ftell(out);
        rows_write(out, (enum rows_format)format, &all, &long_row);
        assert_int_equal(fclose(out), 0);
        assert_true(header < ROWS_LINE_MAX_BYTES && bytes - (size_t)header < ROWS_LINE_MAX_BYTES);
        free(made);
    }
}

static void test_what_is_written_is_read_again(void **state)
{
    (void)state;
    for (int format = ROWS_CSV; format <= ROWS_JSONL; format++) {
        char *rest = written((enum rows_format)format, &row), *line;
        int result = 0;
        rows_reader_init(&reader, (enum rows_format)format, &kinds);
        while ((line = strsep(&rest, "\n")) != NULL && result == 0) {
            line[strcspn(line, "\r")] = '\0';
            result = read_text(line);
        }
        require(result == 1, "%s", error.text);
        assert_string_equal(said.article, row.article);
        assert_true(said.whole && said.registers && counts_are(9007199254740003, 1, 12));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_single_lines),
        cmocka_unit_test(test_lines_of_an_export),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_the_longest_line_fits),
        cmocka_unit_test(test_what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
