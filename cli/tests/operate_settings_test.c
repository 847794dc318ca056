#include "unit.h"

#include "operate_settings.h"

static struct operate_settings settings;
static struct error error;

static int parse(enum operate_command command, int n, const char *const *words)
{
    int help;
    char *argv[8] = {(char *)(uintptr_t) "command"};
    for (int i = 0; i < n; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    error.text[0] = '\0';
    return operate_settings_parse(&settings, command, n + 1, argv, NO_ENVIRONMENT, &help, &error);
}

#define PARSE(command, ...)                                                                        \
    parse(OPERATE_##command, (int)COUNT_OF(((const char *const[]){__VA_ARGS__})),                  \
          (const char *const[]){__VA_ARGS__})

static void test_an_article_before_the_options(void **state)
{
    (void)state;
    assert_int_equal(PARSE(RESET, "world/a", "--dry-run"), 0);
    assert_string_equal(settings.article, "world/a");
    assert_true(settings.dry_run);
    assert_int_equal(settings.links.redis_port, 6390);
    assert_string_equal(settings.links.redis_host, "127.0.0.1");
    assert_int_equal(PARSE(ARCHIVE, "world/a", "--force"), 0);
    assert_true(settings.force && !settings.dry_run);
    assert_int_equal(PARSE(ARTICLE, "world/a", "--services-file=/f"), 0);
    assert_string_equal(settings.links.user, "operator");
    assert_int_equal(PARSE(RESET, "--dry-run"), -1);
    assert_non_null(strstr(error.text, "article is missing"));
    assert_int_equal(PARSE(RESET, "a/", "--dry-run"), -1);
    assert_non_null(strstr(error.text, "not an article id"));
    assert_int_equal(PARSE(RESET, "a", "b"), -1);
    assert_int_equal(PARSE(EXPORT, "a"), -1); /* it has none */
    static char longest[ARTICLE_MAX_BYTES + 2];
    memset(longest, 'a', ARTICLE_MAX_BYTES);
    assert_int_equal(PARSE(RESET, longest), 0);
    longest[ARTICLE_MAX_BYTES] = 'a';
    assert_int_equal(PARSE(RESET, longest), -1);
}

static void test_each_command_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(PARSE(RESET, "a", "--force"), -1);
    assert_int_equal(PARSE(RESET, "a", "--services-file=/f"), -1);
    assert_int_equal(PARSE(ARTICLE, "a", "--services-file=/f", "--dry-run"), -1);
    assert_int_equal(PARSE(ARTICLE, "a", "--services-file=/f", "--force"), -1);
    assert_int_equal(PARSE(EXPORT, "--file=/f"), -1);
    assert_int_equal(PARSE(IMPORT, "--file=/f", "--articles=a"), -1);
    assert_int_equal(PARSE(ERASE, "--reader=me"), -1);
}

/* A script's unset variable must not act on the default store. */
static void test_an_empty_prefix_is_refused(void **state)
{
    (void)state;
    assert_int_equal(PARSE(RESET, "a", "--redis-prefix="), -1);
    assert_non_null(strstr(error.text, "redis_prefix"));
    assert_int_equal(PARSE(ARCHIVE, "a", "--redis-prefix="), -1);
    assert_int_equal(PARSE(FORGET, "--edge=00ab00000000cdef", "--redis-prefix="), -1);
    assert_int_equal(PARSE(RESET, "a"), 0);
    assert_string_equal(settings.links.redis_prefix, "tally:");
    assert_int_equal(PARSE(WATCH, "--services-file=/f"), 0);
}

static void test_an_edge_is_16_hex_digits(void **state)
{
    (void)state;
    assert_int_equal(PARSE(FORGET, "--edge=00ab00000000cdef"), 0);
    assert_int_equal(settings.edge_id, 0xab00000000cdef);
    assert_int_equal(PARSE(FORGET, "--quiet-s=1"), -1);
    assert_int_equal(PARSE(FORGET, "--edge=00ab00000000cde"), -1);
    assert_int_equal(PARSE(FORGET, "--edge=00ab00000000cdeg"), -1);
    assert_int_equal(PARSE(FORGET, "--edge=0000000000000000"), -1);
    assert_non_null(strstr(error.text, "tally audit names the edges"));
    assert_int_equal(PARSE(DRAIN, "--spool=/s", "--durability=replicas"), 0);
    assert_int_equal(settings.timeout_s, 60);
    assert_int_equal(PARSE(DRAIN, "--spool=/s", "--durability=all"), -1);
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(PARSE(EXPORT, "--format=csv", "--articles=a,b"), 0);
    assert_true(settings.rows == ROWS_CSV && settings.list.n == 2);
    assert_int_equal(PARSE(IMPORT, "--format=jsonl", "--file=-", "--replace"), 0);
    assert_true(settings.rows == ROWS_JSONL && settings.replace);
    assert_int_equal(PARSE(IMPORT, "--format=json", "--file=-"), -1);
    assert_non_null(strstr(error.text, "option format: json is not csv or jsonl"));
    assert_int_equal(
        PARSE(ERASE, "--reader-file=-", "--source=token", "--counts=keep", "--key-file=/k"), 0);
    static const char *const wrong[][5] = {
        {"--reader-file=-", "--source=user", "--counts=keep", "--key-file=/k"},
        {"--reader-file=-", "--source=username", "--counts=k", "--key-file=/k"},
        {"--reader-file=-", "--source=", "--counts=keep", "--key-file=/k"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        require(parse(OPERATE_ERASE, 4, wrong[i]) == -1, "%zu", i);
    static const char *const needed[][5] = {
        {"--reader-file=-", "--source=username", "--counts=keep"},
        {"--reader-file=-", "--source=username", "--key-file=/k"},
        {"--reader-file=-", "--counts=keep", "--key-file=/k"},
        {"--source=username", "--counts=keep", "--key-file=/k"},
    };
    for (size_t i = 0; i < COUNT_OF(needed); i++) {
        require(parse(OPERATE_ERASE, 3, needed[i]) == -1, "%zu", i);
        require(strstr(error.text, "is missing") != NULL, "%s", error.text);
    }
    assert_int_equal(PARSE(ARTICLE, "a", "--services-file=/f", "--topic-prefix=news"), -1);
    assert_non_null(strstr(error.text, "option topic_prefix"));
    assert_int_equal(PARSE(ARTICLE, "a", "--services-file=/f", "--clear", "--kinds=like"), -1);
    assert_non_null(strstr(error.text, "option clear"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_article_before_the_options),
        cmocka_unit_test(test_each_command_has_its_own),
        cmocka_unit_test(test_an_empty_prefix_is_refused),
        cmocka_unit_test(test_an_edge_is_16_hex_digits),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
