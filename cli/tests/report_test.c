#include "unit.h"

#include "report.h"

#include <cjson/cJSON.h>

static struct report report;

static char *written(void (*write_it)(const struct report *, FILE *))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    write_it(&report, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_statuses(void **state)
{
    (void)state;
    assert_int_equal(report_init(&report), 0);
    assert_int_equal(report_status(&report), 0);
    report_fails(&report, "store", "redis is away");
    report_fails(&report, "books", "no spool");
    assert_int_equal(report_status(&report), 2);
    char *text = written(report_text);
    assert_non_null(strstr(text, "not checked: store: redis is away, and more\n"));
    assert_non_null(strstr(text, "\ncould not be checked\n"));
    free(text);
    report_differs(&report, AUDIT_RETAINED, "world/a", "like", 3, 1);
    assert_int_equal(report_status(&report), 1);
    text = written(report_text);
    assert_non_null(strstr(text, "differs: retained world/a like: expected 3, found 1 (-2)\n"));
    free(text);
    report_fini(&report);
}

static void test_json(void **state)
{
    (void)state;
    assert_int_equal(report_init(&report), 0);
    report.books.checked = true;
    report.books.admitted = 9007199254740993u; /* not exact as a double */
    report_differs(&report, AUDIT_BOOKS, "edge", "admitted", 4, 3);
    report_differs(&report, AUDIT_HTTP, "a\"b", "like", -1, 1);
    char *text = written(report_json);
    assert_non_null(strstr(text, "\"admitted\":9007199254740993"));
    assert_non_null(strstr(text, "{\"link\":\"books\",\"of\":\"edge\",\"what\":\"admitted\","
                                 "\"expected\":4,\"found\":3,\"difference\":-1}"));
    cJSON *json = cJSON_Parse(text);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "differences");
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 1), "article")->valuestring,
        "a\"b");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(json, "verdict")->valuestring, "differs");
    cJSON_Delete(json);
    free(text);
    report_fini(&report);
}

static void test_the_bound(void **state)
{
    (void)state;
    assert_int_equal(report_init(&report), 0);
    for (int i = 0; i < REPORT_LISTED_MAX + 5; i++)
        report_differs(&report, AUDIT_HTTP, "a", "like", 0, 1);
    assert_int_equal(report.listed, REPORT_LISTED_MAX);
    assert_int_equal(report.differences, REPORT_LISTED_MAX + 5);
    char *text = written(report_text);
    assert_non_null(strstr(text, "differs: 5 more\n"));
    free(text);
    report_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
