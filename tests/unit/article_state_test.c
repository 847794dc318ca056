#include "unit.h"

#include "core/article_state.h"

#include <time.h>

#define ARTICLE "world/x"
#define AT_2026_12_01_08 UINT64_C(1796112000000) /* date -ud 2026-12-01T08:00:00Z +%s, ms */

static struct article_state state;
static char text[ARTICLE_STATE_TEXT_MAX_BYTES];

/* Parses a copy of exactly the payload's size, so that reading beyond it would be found out. */
static int parse_bytes(const char *payload, size_t bytes)
{
    char *exact = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(exact);
    memcpy(exact, payload, bytes);
    int result = article_state_parse(&state, ARTICLE, strlen(ARTICLE), exact, bytes);
    free(exact);
    return result;
}

static int parse(const char *payload)
{
    return parse_bytes(payload, strlen(payload));
}

/* What is accepted, and what it is as Redis would hold it. */
static const struct {
    const char *payload, *stored;
} accepted[] = {
    {"open", "{\"state\":\"open\",\"results\":\"always\"}"},
    {"closed", "{\"state\":\"closed\",\"results\":\"always\"}"},
    {"open\n", "{\"state\":\"open\",\"results\":\"always\"}"},
    {"closed\r\n", "{\"state\":\"closed\",\"results\":\"always\"}"},
    {"{\"state\":\"closed\"}\r\n", "{\"state\":\"closed\",\"results\":\"always\"}"},
    {"{}", "{\"state\":\"open\",\"results\":\"always\"}"},
    {" \t\r\n{ } \n", "{\"state\":\"open\",\"results\":\"always\"}"},
    {"{\"state\":\"closed\"}", "{\"state\":\"closed\",\"results\":\"always\"}"},
    {"{\"st\\u0061te\":\"\\u0063losed\"}", "{\"state\":\"closed\",\"results\":\"always\"}"},
    {"{\"results\":\"after_close\",\"state\":\"open\"}",
     "{\"state\":\"open\",\"results\":\"after_close\"}"},
    {"{\"kinds\":[\"like\"]}", "{\"state\":\"open\",\"kinds\":[\"like\"],\"results\":\"always\"}"},
    {"{ \"kinds\" : [ \"sad\" , \"like\" ] }",
     "{\"state\":\"open\",\"kinds\":[\"sad\",\"like\"],\"results\":\"always\"}"},
    {"{\"kinds\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\","
     "\"n\",\"abcdefghijklmnop\"]}",
     "{\"state\":\"open\",\"kinds\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\","
     "\"k\",\"l\",\"m\",\"n\",\"abcdefghijklmnop\"],\"results\":\"always\"}"},
    {"{\"opens_at\":\"2026-12-01T08:00:00Z\"}",
     "{\"state\":\"open\",\"opens_at\":\"2026-12-01T08:00:00.000Z\",\"results\":\"always\"}"},
    {"{\"closes_at\":\"2026-12-01T08:00:00.5Z\"}",
     "{\"state\":\"open\",\"closes_at\":\"2026-12-01T08:00:00.500Z\",\"results\":\"always\"}"},
    {"{\"closes_at\":\"2026-12-01T08:00:00.123456789Z\"}",
     "{\"state\":\"open\",\"closes_at\":\"2026-12-01T08:00:00.123Z\",\"results\":\"always\"}"},
    {"{\"opens_at\":\"2000-01-01T00:00:00Z\",\"closes_at\":\"9999-12-31T23:59:59.999Z\"}",
     "{\"state\":\"open\",\"opens_at\":\"2000-01-01T00:00:00.000Z\",\"closes_at\":"
     "\"9999-12-31T23:59:59.999Z\",\"results\":\"always\"}"},
    {"{\"closes_at\":\"2028-02-29T12:34:56.7Z\"}",
     "{\"state\":\"open\",\"closes_at\":\"2028-02-29T12:34:56.700Z\",\"results\":\"always\"}"},
    {"{\"version\":1}", "{\"state\":\"open\",\"results\":\"always\",\"version\":1}"},
    {"{\"article\":\"world/x\",\"open\":true,\"state\":\"open\",\"kinds\":[\"like\",\"dislike\"],"
     "\"closes_at\":\"2026-12-01T08:00:00.000Z\",\"results\":\"after_close\",\"version\":"
     "9007199254740991}",
     "{\"state\":\"open\",\"kinds\":[\"like\",\"dislike\"],\"closes_at\":"
     "\"2026-12-01T08:00:00.000Z\",\"results\":\"after_close\",\"version\":9007199254740991}"},
    {"{\"open\":false,\"version\":2,\"state\":\"closed\"}",
     "{\"state\":\"closed\",\"results\":\"always\",\"version\":2}"},
};

static void accepts_and_writes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        require(parse(accepted[i].payload) == 0, "%s", accepted[i].payload);
        size_t bytes = article_state_write(&state, NULL, 0, false, text, sizeof text);
        require(bytes == strlen(text) && strcmp(text, accepted[i].stored) == 0, "%s became %s",
                accepted[i].payload, text);
        char again[ARTICLE_STATE_TEXT_MAX_BYTES];
        require(parse(text) == 0, "%s", text);
        require(article_state_write(&state, NULL, 0, false, again, sizeof again) == bytes &&
                    strcmp(again, text) == 0,
                "%s became %s", text, again);
    }
}

#define KIND(a, b) "\"" a b "\""
#define FOUR_KINDS(a, b) KIND(a, b "1") "," KIND(a, b "2") "," KIND(a, b "3") "," KIND(a, b "4")
#define EIGHT_KINDS(a) FOUR_KINDS(a, "x") "," FOUR_KINDS(a, "y")

static const char *const refused[] = {
    "",
    "Open",
    "open ",
    " closed",
    "closed\n\n",
    "closed\r",
    "closed\n\r",
    "\nclosed",
    "\n",
    "\r\n",
    "\"open\"",
    "opened",
    "{",
    "}",
    "{}{}",
    "{} x",
    "[]",
    "null",
    "true",
    "1",
    "{,}",
    "{\"state\":\"open\",}",
    "{\"state\" \"open\"}",
    "{\"state\":\"Closed\"}",
    "{\"state\":\"\"}",
    "{\"state\":true}",
    "{\"state\":null}",
    "{\"state\":[\"open\"]}",
    "{\"state\":\"open\",\"state\":\"open\"}",
    "{\"State\":\"open\"}",
    "{\"closed\":true}",
    "{\"note\":\"x\"}",
    "{\"\":1}",
    "{\"a member of a long name\":1}",
    "{\"results\":\"never\"}",
    "{\"results\":false}",
    "{\"kinds\":[]}",
    "{\"kinds\":\"like\"}",
    "{\"kinds\":{}}",
    "{\"kinds\":[\"like\",\"like\"]}",
    "{\"kinds\":[\"none\"]}",
    "{\"kinds\":[\"Like\"]}",
    "{\"kinds\":[\"\"]}",
    "{\"kinds\":[1]}",
    "{\"kinds\":[\"like\",]}",
    "{\"kinds\":[\"like\"",
    "{\"kinds\":[\"abcdefghijklmnopq\"]}",
    "{\"kinds\":[" EIGHT_KINDS("a") "," EIGHT_KINDS("b") "]}",
    "{\"opens_at\":1796112000}",
    "{\"opens_at\":\"\"}",
    "{\"opens_at\":null}",
    "{\"opens_at\":\"2026-12-01\"}",
    "{\"opens_at\":\"2026-12-01T08:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00z\"}",
    "{\"opens_at\":\"2026-12-01t08:00:00Z\"}",
    "{\"opens_at\":\"2026-12-01 08:00:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00+00:00\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00.Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00,5Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00.1234567890Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00Zx\"}",
    "{\"opens_at\":\"2026-12-01T24:00:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:60:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:60Z\"}",
    "{\"opens_at\":\"2026-13-01T08:00:00Z\"}",
    "{\"opens_at\":\"2026-00-01T08:00:00Z\"}",
    "{\"opens_at\":\"2026-12-00T08:00:00Z\"}",
    "{\"opens_at\":\"2026-11-31T08:00:00Z\"}",
    "{\"opens_at\":\"2026-02-29T08:00:00Z\"}",
    "{\"opens_at\":\"2100-02-29T08:00:00Z\"}",
    "{\"opens_at\":\"1999-12-31T23:59:59Z\"}",
    "{\"opens_at\":\"+026-12-01T08:00:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:00Z\"}",
    "{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T07:59:59.999Z\"}",
    "{\"open\":true}",
    "{\"article\":\"world/x\"}",
    "{\"version\":0}",
    "{\"version\":-1}",
    "{\"version\":1.0}",
    "{\"version\":1e3}",
    "{\"version\":01}",
    "{\"version\":\"1\"}",
    "{\"version\":9007199254740992}",
    "{\"version\":1,\"version\":2}",
    "{\"version\":1,\"open\":1}",
    "{\"version\":1,\"open\":tru}",
    "{\"version\":1,\"open\":truefalse}",
    "{\"version\":1,\"article\":\"world/y\"}",
    "{\"version\":1,\"article\":\"\"}",
};

static void refuses(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        require(parse(refused[i]) == -1, "%s", refused[i]);
    assert_int_equal(parse_bytes("open\0", 5), -1);
    /* every beginning of what is good */
    static const char good[] = "{\"article\":\"world/x\",\"open\":true,\"kinds\":[\"like\"],"
                               "\"closes_at\":\"2026-12-01T08:00:00Z\",\"version\":12}";
    for (size_t i = 1; i + 1 < sizeof good; i++)
        require(parse_bytes(good, i) == -1, "%zu bytes", i);
}

static void has_a_bound(void **unused)
{
    char large[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
    (void)unused;
    memset(large, ' ', sizeof large);
    large[0] = '{';
    large[1] = '}';
    assert_int_equal(parse_bytes(large, sizeof large - 1), 0);
    assert_int_equal(parse_bytes(large, sizeof large), -1);
}

static void writes_what_the_feed_publishes(void **unused)
{
    (void)unused;
    assert_int_equal(parse("{\"kinds\":[\"like\",\"dislike\"],\"closes_at\":"
                           "\"2026-12-01T08:00:00Z\",\"results\":\"after_close\"}"),
                     0);
    state.version = 1795510800123456;
    static const char want[] = "{\"article\":\"world/x\",\"open\":true,\"state\":\"open\","
                               "\"kinds\":[\"like\",\"dislike\"],\"closes_at\":"
                               "\"2026-12-01T08:00:00.000Z\",\"results\":\"after_close\","
                               "\"version\":1795510800123456}";
    assert_int_equal(article_state_write(&state, ARTICLE, 7, true, text, sizeof text),
                     strlen(want));
    assert_string_equal(text, want);
    for (size_t room = 0; room < sizeof want; room++)
        require(article_state_write(&state, ARTICLE, 7, true, text, room) == 0, "%zu bytes", room);
}

/* The longest there is. */
static void the_longest_fits(void **unused)
{
    char article[200];
    (void)unused;
    memset(article, 'a', sizeof article);
    memset(&state, 0, sizeof state);
    state.closed = state.after_close = true;
    state.opens_at_ms = AT_2026_12_01_08;
    state.closes_at_ms = AT_2026_12_01_08 + 1;
    state.version = (UINT64_C(1) << 53) - 1;
    state.kinds = KIND_MAX;
    for (int i = 0; i < KIND_MAX; i++)
        snprintf(state.kind[i], sizeof state.kind[i], "abcdefghijklmn%02d", i);
    assert_int_not_equal(
        article_state_write(&state, article, sizeof article, false, text, sizeof text), 0);
}

static void opens_and_closes(void **unused)
{
    static const struct {
        const char *payload;
        int64_t at; /* ms after 2026-12-01T08:00:00Z */
        bool open, hides;
        int64_t next; /* likewise; -1 never */
    } rows[] = {
        {"open", 0, true, false, -1},
        {"closed", 0, false, false, -1},
        {"{\"results\":\"after_close\"}", 0, true, true, -1},
        {"{\"results\":\"after_close\",\"state\":\"closed\"}", 0, false, false, -1},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\"}", -1, false, false, 0},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\"}", 0, true, false, -1},
        {"{\"closes_at\":\"2026-12-01T08:00:00Z\"}", -1, true, false, 0},
        {"{\"closes_at\":\"2026-12-01T08:00:00Z\"}", 0, false, false, -1},
        {"{\"closes_at\":\"2026-12-01T08:00:00Z\",\"state\":\"closed\"}", -5, false, false, -1},
        {"{\"closes_at\":\"2026-12-01T08:00:00Z\",\"results\":\"after_close\"}", -1, true, true, 0},
        {"{\"closes_at\":\"2026-12-01T08:00:00Z\",\"results\":\"after_close\"}", 0, false, false,
         -1},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:01Z\","
         "\"results\":\"after_close\"}",
         -1, false, true, 0},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:01Z\","
         "\"results\":\"after_close\"}",
         0, true, true, 1000},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:01Z\","
         "\"results\":\"after_close\"}",
         999, true, true, 1000},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:01Z\","
         "\"results\":\"after_close\"}",
         1000, false, false, -1},
    };
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t at = AT_2026_12_01_08 + (uint64_t)rows[i].at;
        uint64_t next =
            rows[i].next < 0 ? ARTICLE_STATE_NEVER : AT_2026_12_01_08 + (uint64_t)rows[i].next;
        require(parse(rows[i].payload) == 0, "%s", rows[i].payload);
        require(article_state_open_at(&state, at) == rows[i].open, "row %zu", i);
        require(article_state_hides(&state, at) == rows[i].hides, "row %zu", i);
        require(article_state_next_change(&state, at) == next, "row %zu", i);
    }
}

/* Every day of 400 years, against the C library. */
static void days_are_the_calendars(void **unused)
{
    (void)unused;
    for (uint64_t day = 10957; day < 10957 + 146097; day++) {
        char payload[80], date[16];
        time_t seconds = (time_t)(day * 86400);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        strftime(date, sizeof date, "%Y-%m-%d", &utc);
        snprintf(payload, sizeof payload, "{\"opens_at\":\"%sT00:00:00.007Z\"}", date);
        require(parse(payload) == 0, "%s", payload);
        require(state.opens_at_ms == day * 86400000 + 7, "%s", payload);
        article_state_write(&state, NULL, 0, false, text, sizeof text);
        require(strstr(text, date) != NULL, "%s: %s", payload, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_writes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(has_a_bound),
        cmocka_unit_test(writes_what_the_feed_publishes),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(opens_and_closes),
        cmocka_unit_test(days_are_the_calendars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
