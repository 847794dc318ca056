#include "unit.h"

#include "audit_settings.h"

static struct audit_settings settings;
static struct error error;

static int parse(const char *given)
{
    int help;
    char *words[] = {(char *)(uintptr_t) "audit", (char *)(uintptr_t) "--spool=/s",
                     (char *)(uintptr_t) "--services-file=/f", (char *)(uintptr_t)given, NULL};
    error.text[0] = '\0';
    return audit_settings_parse(&settings, given != NULL ? 4 : 3, words, NO_ENVIRONMENT, &help,
                                &error);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL), 0);
    assert_string_equal(settings.links.user, "operator");
    assert_int_equal(settings.links.mqtt_port, 1883);
    assert_int_equal(settings.links.redis_port, 6390);
    assert_int_equal(settings.http_port, 8080);
    assert_int_equal(settings.list.n, 0);
    assert_false(settings.json);
    assert_int_equal(parse("--topic-prefix=news"), -1);
    assert_non_null(strstr(error.text, "option topic_prefix"));
    assert_int_equal(parse("--topic-prefix=news/"), 0);
    assert_int_equal(parse("--json"), 0);
    assert_true(settings.json);
}

static void test_a_list_of_articles(void **state)
{
    (void)state;
    assert_int_equal(parse("--articles=world/a,b,world/a,post/10482"), 0);
    assert_int_equal(settings.list.n, 3);
    assert_string_equal(settings.list.of[0], "world/a");
    assert_string_equal(settings.list.of[2], "post/10482");
    static const char *const wrong[] = {"--articles=", "--articles=a,,b", "--articles=a//b",
                                        "--articles=a, b", "--articles=all,a/"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        require(parse(wrong[i]) == -1, "%s", wrong[i]);
        require(strstr(error.text, "option articles") != NULL, "%s", error.text);
    }
    static char longest[300] = "--articles=";
    size_t bytes = strlen(longest);
    for (int i = 0; i < 127; i++) {
        longest[bytes++] = (char)('a' + i % 26);
        longest[bytes++] = ',';
    }
    longest[bytes] = 'a';
    assert_int_equal(parse(longest), 0);
    assert_int_equal(settings.list.n, 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_a_list_of_articles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
