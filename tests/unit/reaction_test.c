#include "unit.h"

#include "core/reaction.h"

#define AGE_MAX "604800000"

static struct kind_table kinds;

static int make_kinds(void **state)
{
    (void)state;
    return kind_table_parse(&kinds, "like,dislike,love,funny,angry,sad,wow,abcdefghijklmnop", NULL);
}

/* Parses a copy of exactly the payload's size, so that reading beyond it would be found out. */
static enum reason parse(const char *payload, size_t bytes, struct reaction *out)
{
    char *exact = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(exact);
    memcpy(exact, payload, bytes);
    enum reason reason = reaction_parse(exact, bytes, &kinds, out);
    free(exact);
    return reason;
}

static const struct {
    const char *payload, *kind;
    uint32_t age_ms;
    const char *reader;
} accepted[] = {
    {"", "none", 0, ""},
    {"none", "none", 0, ""},
    {"angry", "angry", 0, ""},
    {"abcdefghijklmnop", "abcdefghijklmnop", 0, ""},
    {"angry\n", "angry", 0, ""},
    {"angry\r\n", "angry", 0, ""},
    {"abcdefghijklmnop\r\n", "abcdefghijklmnop", 0, ""},
    {"none\n", "none", 0, ""},
    {"\n", "none", 0, ""},
    {"\r\n", "none", 0, ""},
    {"{\"reaction\":\"angry\"}\n", "angry", 0, ""},
    {"{\"reaction\":\"angry\"}\r\n", "angry", 0, ""},
    {"{\"reaction\":\"angry\"}", "angry", 0, ""},
    {"{\"reaction\":\"none\",\"age_ms\":86400000}", "none", 86400000, ""},
    {"{\"age_ms\":1,\"reaction\":\"sad\"}", "sad", 1, ""},
    {"{\"age_ms\":0,\"reaction\":\"sad\"}", "sad", 0, ""},
    {"{\"age_ms\":" AGE_MAX ",\"reaction\":\"sad\"}", "sad", 604800000, ""},
    {" \t\r\n{ \"reaction\" : \"love\" , \"age_ms\" : 5 } \n", "love", 5, ""},
    {"{\"reader\":\"r\",\"reaction\":\"like\"}", "like", 0, "r"},
    {"{\"reaction\":\"like\",\"reader\":\"caf\xc3\xa9\"}", "like", 0, "caf\xc3\xa9"},
    {"{\"reaction\":\"\\u006c\\u0069ke\"}", "like", 0, ""},
    {"{\"\\u0072eaction\":\"like\"}", "like", 0, ""},
    {"{\"reaction\":\"like\",\"reader\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "like", 0,
     "\"\\/\b\f\n\r\t"},
    {"{\"reaction\":\"like\",\"reader\":\"\\u00e9\\u20AC\"}", "like", 0, "\xc3\xa9\xe2\x82\xac"},
    {"{\"reaction\":\"like\",\"reader\":\"\\ud83d\\ude00\"}", "like", 0, "\xf0\x9f\x98\x80"},
    {"{\"reaction\":\"like\",\"reader\":\"\\uDBFF\\uDFFF\"}", "like", 0, "\xf4\x8f\xbf\xbf"},
    {"{\"reaction\":\"like\",\"reader\":\"\\uD7FF\\uE000\"}", "like", 0,
     "\xed\x9f\xbf\xee\x80\x80"},
    {"{\"reaction\":\"like\",\"reader\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"}", "like", 0,
     "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
    {"{\"reaction\":\"like\",\"reader\":"
     "\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}",
     "like", 0, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
    {"{\"reaction\":\"like\",\"reader\":\"\\u0001\"}", "like", 0, "\x01"},
};

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        struct reaction out;
        const char *payload = accepted[i].payload;
        require(parse(payload, strlen(payload), &out) == REASON_NONE, "%s", payload);
        require(strcmp(kinds.name[out.kind], accepted[i].kind) == 0, "%s", payload);
        require(out.age_ms == accepted[i].age_ms, "%s", payload);
        require(out.reader_bytes == strlen(accepted[i].reader), "%s", payload);
        require(memcmp(out.reader, accepted[i].reader, out.reader_bytes) == 0, "%s", payload);
    }
}

static const char *const unknown[] = {
    "hate",
    "null",
    "true",
    "a",
    "likes",
    "likes\n",
    "likes\r\n",
    "abcdefghijklmnoq",
    "{\"reaction\":\"hate\"}",
    "{\"reaction\":\"hate\",\"age_ms\":1}",
    "{\"age_ms\":1,\"reaction\":\"x-_9\"}",
};

static const char *const bad[] = {
    /* neither a name nor JSON */
    "Angry",
    "angry ",
    " angry",
    "angry\n\n",
    "angry\r\n\r\n",
    "angry\n\r",
    "angry\r",
    "angry \n",
    "an\ngry",
    "\nangry",
    "\nangry\n",
    "\r",
    "\n\n",
    "\r\n\n",
    "\r\r\n",
    "abcdefghijklmnopq",
    "9",
    "-",
    " ",
    "\"angry\"",
    "'angry'",
    "[\"angry\"]",
    "\xef\xbb\xbf{\"reaction\":\"like\"}",
    /* members */
    "{}",
    "{ }",
    "{\"age_ms\":1}",
    "{\"reader\":\"r\"}",
    "{\"reaction\":\"like\",\"reaction\":\"like\"}",
    "{\"reaction\":\"like\",\"r\\u0065action\":\"like\"}",
    "{\"reaction\":\"like\",\"age_ms\":1,\"age_ms\":1}",
    "{\"reaction\":\"like\",\"reader\":\"a\",\"reader\":\"b\"}",
    "{\"reaction\":\"like\",\"more\":1}",
    "{\"reaction\":\"like\",\"\":1}",
    "{\"Reaction\":\"like\"}",
    "{\"reactions\":\"like\"}",
    "{\"reactio\":\"like\"}",
    "{\"reaction\\u0000\":\"like\"}",
    "{\"a_member_name_that_is_very_long\":1,\"reaction\":\"like\"}",
    /* types */
    "{\"reaction\":1}",
    "{\"reaction\":null}",
    "{\"reaction\":true}",
    "{\"reaction\":[\"like\"]}",
    "{\"reaction\":{\"reaction\":\"like\"}}",
    "{\"reaction\":\"\"}",
    "{\"reaction\":\"Like\"}",
    "{\"reaction\":\"like \"}",
    "{\"reaction\":\"abcdefghijklmnopq\"}",
    "{\"reaction\":\"like\",\"reader\":1}",
    "{\"reaction\":\"like\",\"reader\":\"\"}",
    "{\"reaction\":\"like\",\"reader\":null}",
    "{\"reaction\":\"like\",\"age_ms\":\"1\"}",
    "{\"reaction\":\"like\",\"age_ms\":null}",
    "{\"reaction\":\"like\",\"age_ms\":true}",
    "{\"reaction\":\"like\",\"age_ms\":[1]}",
    "{\"reaction\":\"like\",\"age_ms\":{}}",
    /* numbers */
    "{\"reaction\":\"like\",\"age_ms\":}",
    "{\"reaction\":\"like\",\"age_ms\":-1}",
    "{\"reaction\":\"like\",\"age_ms\":-0}",
    "{\"reaction\":\"like\",\"age_ms\":+1}",
    "{\"reaction\":\"like\",\"age_ms\":01}",
    "{\"reaction\":\"like\",\"age_ms\":00}",
    "{\"reaction\":\"like\",\"age_ms\":1.0}",
    "{\"reaction\":\"like\",\"age_ms\":1.}",
    "{\"reaction\":\"like\",\"age_ms\":.1}",
    "{\"reaction\":\"like\",\"age_ms\":1e3}",
    "{\"reaction\":\"like\",\"age_ms\":1E3}",
    "{\"reaction\":\"like\",\"age_ms\":0x1}",
    "{\"reaction\":\"like\",\"age_ms\":1 2}",
    "{\"reaction\":\"like\",\"age_ms\":604800001}",
    "{\"reaction\":\"like\",\"age_ms\":4294967296}",
    "{\"reaction\":\"like\",\"age_ms\":18446744073709551616}",
    "{\"reaction\":\"like\",\"age_ms\":18446744073709551617}",
    "{\"reaction\":\"like\",\"age_ms\":99999999999999999999999999999999999999999999}",
    "{\"reaction\":\"like\",\"age_ms\":NaN}",
    "{\"reaction\":\"like\",\"age_ms\":Infinity}",
    /* punctuation */
    "{",
    "{\"",
    "{\"reaction",
    "{\"reaction\"",
    "{\"reaction\":",
    "{\"reaction\":\"",
    "{\"reaction\":\"like",
    "{\"reaction\":\"like\"",
    "{\"reaction\":\"like\",",
    "{\"reaction\":\"like\",}",
    "{,\"reaction\":\"like\"}",
    "{\"reaction\":\"like\",,\"age_ms\":1}",
    "{\"reaction\":\"like\" \"age_ms\":1}",
    "{\"reaction\" \"like\"}",
    "{\"reaction\"::\"like\"}",
    "{reaction:\"like\"}",
    "{\"reaction\":like}",
    "{'reaction':'like'}",
    "{\"reaction\":\"like\"}}",
    "{{\"reaction\":\"like\"}}",
    "{\"reaction\":\"like\"} x",
    "{\"reaction\":\"like\"}{\"reaction\":\"like\"}",
    "{\"reaction\":\"like\"},",
    "{\"reaction\":\"like\"/**/}",
    "//\n{\"reaction\":\"like\"}",
    "{\"reaction\":\"like\"\v}",
    "{\"reaction\":\"like\"\xc2\xa0}",
    /* an unknown kind does not excuse the rest */
    "{\"reaction\":\"hate\",\"age_ms\":-1}",
    "{\"reaction\":\"hate\",}",
    "{\"reaction\":\"hate\"",
    /* strings */
    "{\"reaction\":\"like\",\"reader\":\"a\nb\"}",
    "{\"reaction\":\"like\",\"reader\":\"a\tb\"}",
    "{\"reaction\":\"like\",\"reader\":\"a\x01\"}",
    "{\"reaction\":\"like\",\"reader\":\"a\x1f\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u0000\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\x41\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\a\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\'\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\U0041\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u004\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u00g0\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u+041\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\u 041\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83d\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83dx\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83d\\n\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83d\\ud83d\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83d\\u0041\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ud83d\\ue000\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ude00\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\ude00\\ud83d\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\udc00\"}",
    "{\"reaction\":\"like\",\"reader\":\"\\udfff\"}",
    /* UTF-8: lone, overlong, surrogate, beyond, cut */
    "{\"reaction\":\"like\",\"reader\":\"\x80\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xbf\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xc0\x80\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xc1\xbf\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xc2\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xc2\x41\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xc2\xc2\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xe0\x9f\xbf\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xe2\x82\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xe2\x82\x41\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xed\xa0\x80\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xed\xbf\xbf\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf0\x8f\xbf\xbf\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf0\x9f\x98\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf0\x9f\x98\x41\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf4\x90\x80\x80\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf5\x80\x80\x80\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xff\"}",
    "{\"reaction\":\"like\",\"reader\":\"\xf0\x9f\x98",
    "{\"reaction\":\"like\",\"reader\":\"\xc2",
};

static void refuses(void **state)
{
    struct reaction out;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        require(parse(unknown[i], strlen(unknown[i]), &out) == REASON_UNKNOWN_KIND, "%s",
                unknown[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        require(parse(bad[i], strlen(bad[i]), &out) == REASON_BAD_PAYLOAD, "%s", bad[i]);
}

static void refuses_a_nul_anywhere(void **state)
{
    static const char text[] = "{\"reaction\":\"like\",\"reader\":\"abc\"}";
    struct reaction out;
    (void)state;
    assert_int_equal(parse("like\0", 5, &out), REASON_BAD_PAYLOAD);
    assert_int_equal(parse("like\0\n", 6, &out), REASON_BAD_PAYLOAD);
    assert_int_equal(parse("\0", 1, &out), REASON_BAD_PAYLOAD);
    for (size_t i = 0; i <= sizeof text - 1; i++) {
        char with[sizeof text];
        memcpy(with, text, i);
        with[i] = '\0';
        memcpy(with + i + 1, text + i, sizeof text - 1 - i);
        require(parse(with, sizeof text, &out) == REASON_BAD_PAYLOAD, "NUL at %zu", i);
    }
}

static void refuses_every_beginning_of_an_object(void **state)
{
    static const char text[] =
        "{\"reaction\":\"like\",\"age_ms\":12,\"reader\":\"\\ud83d\\ude00\xf0\x9f\x98\x80\"}";
    struct reaction out;
    (void)state;
    assert_int_equal(parse(text, sizeof text - 1, &out), REASON_NONE);
    for (size_t cut = 1; cut < sizeof text - 1; cut++)
        require(parse(text, cut, &out) == REASON_BAD_PAYLOAD, "cut at %zu", cut);
}

/* The bound of the payload, and of a reader, to the byte. */
static void knows_its_bounds(void **state)
{
    char payload[REACTION_PAYLOAD_MAX_BYTES + 2];
    struct reaction out;
    int head;
    (void)state;
    head = snprintf(payload, sizeof payload, "{\"reaction\":\"like\"}");
    memset(payload + head, ' ', sizeof payload - (size_t)head);
    assert_int_equal(parse(payload, REACTION_PAYLOAD_MAX_BYTES, &out), REASON_NONE);
    assert_int_equal(parse(payload, REACTION_PAYLOAD_MAX_BYTES + 1, &out), REASON_BAD_PAYLOAD);

    for (int n = REACTION_READER_MAX_BYTES - 1; n <= REACTION_READER_MAX_BYTES + 1; n++) {
        head =
            snprintf(payload, sizeof payload, "{\"reaction\":\"like\",\"reader\":\"%0*d\"}", n, 7);
        enum reason reason = parse(payload, (size_t)head, &out);
        assert_int_equal(reason, n <= REACTION_READER_MAX_BYTES ? REASON_NONE : REASON_BAD_PAYLOAD);
        if (reason == REASON_NONE)
            assert_int_equal(out.reader_bytes, n);
    }
    /* A character that has no room for all of its bytes. */
    head = snprintf(payload, sizeof payload,
                    "{\"reaction\":\"like\",\"reader\":\"%0*d\\ud83d\\ude00\"}",
                    REACTION_READER_MAX_BYTES - 3, 7);
    assert_int_equal(parse(payload, (size_t)head, &out), REASON_BAD_PAYLOAD);
    head = snprintf(payload, sizeof payload,
                    "{\"reaction\":\"like\",\"reader\":\"%0*d\xf0\x9f\x98\x80\"}",
                    REACTION_READER_MAX_BYTES - 4, 7);
    assert_int_equal(parse(payload, (size_t)head, &out), REASON_NONE);
}

/* Nesting of any depth is refused at its first bracket, not followed. */
static void refuses_nesting(void **state)
{
    char payload[REACTION_PAYLOAD_MAX_BYTES];
    struct reaction out;
    (void)state;
    memset(payload, '[', sizeof payload);
    assert_int_equal(parse(payload, sizeof payload, &out), REASON_BAD_PAYLOAD);
    for (size_t i = 0; i + 5 <= sizeof payload; i += 5)
        memcpy(payload + i, "{\"a\":", 5);
    assert_int_equal(parse(payload, sizeof payload, &out), REASON_BAD_PAYLOAD);
    memcpy(payload, "{\"reaction\":", 12);
    memset(payload + 12, '[', sizeof payload - 12);
    assert_int_equal(parse(payload, sizeof payload, &out), REASON_BAD_PAYLOAD);
}

/* Small changes to good payloads: whatever is accepted keeps to the bounds, and nothing is read
 * beyond the payload. */
static void survives_changes(void **state)
{
    uint64_t random = 42;
    int admitted = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char payload[128];
        const char *good = accepted[unit_random(&random) % COUNT_OF(accepted)].payload;
        size_t bytes = strlen(good);
        memcpy(payload, good, bytes);
        for (uint64_t change = unit_random(&random) % 3; bytes > 0 && change < 3; change++)
            payload[unit_random(&random) % bytes] = (char)unit_random(&random);
        struct reaction out;
        enum reason reason = parse(payload, bytes, &out);
        if (reason == REASON_NONE) {
            admitted++;
            require_between(out.kind, 0, kinds.n);
            require_between(out.age_ms, 0, REACTION_AGE_MAX_MS);
            require_between(out.reader_bytes, 0, REACTION_READER_MAX_BYTES);
        } else {
            assert_true(reason == REASON_BAD_PAYLOAD || reason == REASON_UNKNOWN_KIND);
        }
    }
    assert_true(admitted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_nul_anywhere),
        cmocka_unit_test(refuses_every_beginning_of_an_object),
        cmocka_unit_test(knows_its_bounds),
        cmocka_unit_test(refuses_nesting),
        cmocka_unit_test(survives_changes),
    };
    return cmocka_run_group_tests(tests, make_kinds, NULL);
}
