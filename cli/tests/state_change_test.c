#include "unit.h"

#include "state_change.h"

static struct error error;

static void test_changes(void **state)
{
    static const struct {
        struct state_change change;
        const char *written;
    } rows[] = {
        {{"", "", "", "", ""},
         "{\"state\":\"open\",\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00.000Z\","
         "\"results\":\"after_close\"}"},
        {{"closed", "always", "", "", ""},
         "{\"state\":\"closed\",\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00.000Z\","
         "\"results\":\"always\"}"},
        {{"", "", "all", "none", "2026-12-02T08:00:00Z"},
         "{\"state\":\"open\",\"closes_at\":\"2026-12-02T08:00:00.000Z\",\"results\":\"after_"
         "close\"}"},
        {{"", "always", "wow,sad", "none", "none"},
         "{\"state\":\"open\",\"kinds\":[\"wow\",\"sad\"],\"results\":\"always\"}"},
        {{"shut", "", "", "", ""}, "!option state"},
        {{"", "never", "", "", ""}, "!option results"},
        {{"", "", "like,like", "", ""}, "!option kinds"},
        {{"", "", "", "now", ""}, "!option opens_at"},
        {{"", "", "", "", "now"}, "!option closes_at"},
        {{"", "", "", "", "2026-12-01T08:00:00Z"}, "!closes_at is not after opens_at"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[ARTICLE_STATE_TEXT_MAX_BYTES];
        struct article_state one;
        const char *from = "{\"kinds\":[\"like\"],\"opens_at\":\"2026-12-01T08:00:00Z\","
                           "\"results\":\"after_close\"}";
        assert_int_equal(article_state_parse(&one, "a", 1, from, strlen(from)), 0);
        if (state_change_apply(&one, &rows[i].change, &error) != 0) {
            require(rows[i].written[0] == '!' &&
                        strncmp(error.text, rows[i].written + 1, strlen(rows[i].written + 1)) == 0,
                    "%zu: %s", i, error.text);
            continue;
        }
        size_t used = article_state_write(&one, NULL, 0, false, out, sizeof out);
        assert_int_equal(used, strlen(out));
        require(strcmp(out, rows[i].written) == 0, "%zu: %s", i, out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
