#include "unit.h"

#include "article_state.h"

static char error[256];

static int parse(struct article_state *state, const char *text)
{
    error[0] = '\0';
    return article_state_parse(state, text, strlen(text), error, sizeof error);
}

/* What is read, written again; "!" where it is none. */
static const char *again(const char *text)
{
    static char out[ARTICLE_STATE_MAX_BYTES + 1];
    struct article_state state;
    if (parse(&state, text) != 0)
        return error[0] != '\0' ? "!" : "no reason";
    size_t bytes = article_state_write(&state, out);
    assert_int_equal(bytes, strlen(out));
    return out;
}

static void test_states(void **state)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"", "{\"state\":\"open\"}"},
        {"open", "{\"state\":\"open\"}"},
        {"closed", "{\"state\":\"closed\"}"},
        {"{}", "{\"state\":\"open\"}"},
        {"{\"state\":\"closed\"}", "{\"state\":\"closed\"}"},
        {"{\"kinds\":[\"sad\",\"like\"]}", "{\"state\":\"open\",\"kinds\":[\"sad\",\"like\"]}"},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:00.0015Z\"}",
         "{\"state\":\"open\",\"opens_at\":\"2026-12-01T08:00:00.000Z\",\"closes_at\":\"2026-12-"
         "01T08:00:00.001Z\"}"},
        {"{\"results\":\"after_close\"}", "{\"state\":\"open\",\"results\":\"after_close\"}"},
        {"{\"results\":\"always\",\"state\":\"open\"}", "{\"state\":\"open\"}"},
        {"{\"article\":\"a\",\"open\":true,\"state\":\"closed\",\"version\":1795510800123456}",
         "{\"state\":\"closed\"}"},
        /* must not */
        {"{\"state\":\"open\"} \n", "{\"state\":\"open\"}"},
        {"shut", "!"},
        {"{}x", "!"},
        {"{} {}", "!"},
        {"closed ", "!"},
        {"null", "!"},
        {"[]", "!"},
        {"{\"state\":\"shut\"}", "!"},
        {"{\"state\":1}", "!"},
        {"{\"state\":\"open\",\"state\":\"closed\"}", "!"},
        {"{\"kinds\":[]}", "!"},
        {"{\"kinds\":\"like\"}", "!"},
        {"{\"kinds\":[\"like\",\"like\"]}", "!"},
        {"{\"kinds\":[\"none\"]}", "!"},
        {"{\"kinds\":[\"Like\"]}", "!"},
        {"{\"kinds\":[1]}", "!"},
        {"{\"opens_at\":1}", "!"},
        {"{\"opens_at\":\"tomorrow\"}", "!"},
        {"{\"opens_at\":\"2026-12-01T08:00:00Z\",\"closes_at\":\"2026-12-01T08:00:00Z\"}", "!"},
        {"{\"results\":\"never\"}", "!"},
        {"{\"more\":1}", "!"},
        {"{\"kinds\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\","
         "\"m\",\"n\",\"o\",\"p\"]}",
         "!"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *written = again(rows[i].text);
        require(strcmp(written, rows[i].written) == 0, "%s: %s", rows[i].text, written);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms; /* 0: none */
    } rows[] = {
        {"2026-11-24T09:00:00.123Z", 1795510800123},
        {"2026-11-24T09:00:00.1239Z", 1795510800123},
        {"2026-11-24T09:00:00.1Z", 1795510800100},
        {"2026-11-24T09:00:00Z", 1795510800000},
        {"2024-02-29T23:59:59Z", 1709251199000},
        {"1970-01-01T00:00:00.001Z", 1},
        {"9999-12-31T23:59:59Z", 253402300799000},
        {"2026-11-24 09:00:00Z", 0},
        {"2026-11-24T09:00:00", 0},
        {"2026-11-24T09:00:00+01:00", 0},
        {"2026-11-24T09:00Z", 0},
        {"2026-11-24T09:00:00.Z", 0},
        {"2026-11-24T09:00:00.1234567890Z", 0},
        {"2026-02-29T09:00:00Z", 0},
        {"2026-13-01T09:00:00Z", 0},
        {"2026-00-01T09:00:00Z", 0},
        {"2026-11-00T09:00:00Z", 0},
        {"2026-11-24T24:00:00Z", 0},
        {"2026-11-24T09:60:00Z", 0},
        {"2026-11-24T09:00:60Z", 0},
        {"1969-12-31T23:59:59Z", 0},
        {"2026-11-24T09:00:00Z ", 0},
        {"26-11-24T09:00:00Z", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t ms = 0;
        int rc = article_state_time(rows[i].text, &ms);
        require((rc == 0) == (rows[i].ms != 0) && (rc != 0 || ms == rows[i].ms), "%s",
                rows[i].text);
    }
}

static void test_closed(void **state)
{
    struct article_state one;
    (void)state;
    assert_int_equal(parse(&one, "closed"), 0);
    assert_true(article_state_closed(&one, 0));
    assert_int_equal(parse(&one, "{\"closes_at\":\"1970-01-01T00:00:01Z\"}"), 0);
    assert_false(article_state_closed(&one, 999));
    assert_true(article_state_closed(&one, 1000));
    /* Before opens_at nothing is taken, but it will be. */
    assert_int_equal(parse(&one, "{\"opens_at\":\"1970-01-01T00:00:01Z\"}"), 0);
    assert_false(article_state_closed(&one, 999));
    assert_false(article_state_closed(&one, 1000));
}

static void test_changes(void **state)
{
    static const struct {
        struct article_state_change change;
        const char *written;
    } rows[] = {
        {{"", "", "", "", ""},
         "{\"state\":\"open\",\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00.000Z\","
         "\"results\":\"after_close\"}"},
        {{"closed", "always", "", "", ""},
         "{\"state\":\"closed\",\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00.000Z\"}"},
        {{"", "", "all", "none", "2026-12-02T08:00:00Z"},
         "{\"state\":\"open\",\"closes_at\":\"2026-12-02T08:00:00.000Z\",\"results\":\"after_"
         "close\"}"},
        {{"", "always", "wow,sad", "none", "none"},
         "{\"state\":\"open\",\"kinds\":[\"wow\",\"sad\"]}"},
        {{"shut", "", "", "", ""}, "!option state"},
        {{"", "never", "", "", ""}, "!option results"},
        {{"", "", "like,like", "", ""}, "!option kinds"},
        {{"", "", "", "now", ""}, "!option opens_at"},
        {{"", "", "", "", "now"}, "!option closes_at"},
        {{"", "", "", "", "2026-12-01T08:00:00Z"}, "!closes_at is not after opens_at"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[ARTICLE_STATE_MAX_BYTES + 1];
        struct article_state one;
        assert_int_equal(parse(&one, "{\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00Z\","
                                     "\"results\":\"after_close\"}"),
                         0);
        if (article_state_change(&one, &rows[i].change, error, sizeof error) != 0) {
            require(rows[i].written[0] == '!' &&
                        strncmp(error, rows[i].written + 1, strlen(rows[i].written + 1)) == 0,
                    "%zu: %s", i, error);
            continue;
        }
        article_state_write(&one, out);
        require(strcmp(out, rows[i].written) == 0, "%zu: %s", i, out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
