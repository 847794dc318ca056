#include "unit.h"

#include "web.h"

#include "core/article.h"

static void test_paths(void **state)
{
    (void)state;
    char path[1024];
    assert_int_equal(web_path(path, sizeof path, "world/a"), strlen("/totals/world/a"));
    assert_string_equal(path, "/totals/world/a");
    (void)web_path(path, sizeof path, "a%25b/c%");
    assert_string_equal(path, "/totals/a%2525b/c%25");
    char longest[ARTICLE_MAX_BYTES + 1], expected[1024] = "/totals/a";
    memset(longest, '%', ARTICLE_MAX_BYTES);
    longest[0] = 'a';
    longest[ARTICLE_MAX_BYTES] = '\0';
    for (int i = 1; i < ARTICLE_MAX_BYTES; i++)
        memcpy(expected + strlen("/totals/a") + 3 * (size_t)(i - 1), "%25", 3);
    (void)web_path(path, 3 * ARTICLE_MAX_BYTES + 16, longest);
    assert_string_equal(path, expected);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    static char body[WEB_BODY_MAX_BYTES + 1];
    char error[200] = "";
    int status;
    struct web *web = web_new("127.0.0.1", 1);
    assert_int_equal(web_total(web, "a", &status, body, error, sizeof error), -1);
    assert_non_null(strstr(error, "http 127.0.0.1:1"));
    web_free(web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_nobody_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
