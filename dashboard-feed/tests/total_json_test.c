#include "total_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct kinds kinds = {
    .name = {"", "like", "dislike", "love", "funny", "angry", "sad", "wow"}};

static void expect(const char *article, const struct total *total, const struct kinds *of,
                   const char *json)
{
    cJSON *object = total_json(article, strlen(article), total, of);
    assert_non_null(object);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, json);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void as_in_interfaces(void **state)
{
    struct total total = {.version = 1795510800123456, .count = {[1] = 3, [5] = 12}};
    (void)state;
    expect(
        "world/migrant-caravan", &total, &kinds,
        "{\"article\":\"world/migrant-caravan\",\"total\":15,\"counts\":{\"like\":3,\"dislike\":0,"
        "\"love\":0,\"funny\":0,\"angry\":12,\"sad\":0,\"wow\":0},\"version\":1795510800123456,"
        "\"updated_at\":\"2026-11-24T09:00:00.123Z\"}");
}

static void hidden(void **state)
{
    (void)state;
    cJSON *object = total_json_hidden("world/x", 7);
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, "{\"article\":\"world/x\",\"hidden\":true}");
    cJSON_free(text);
    cJSON_Delete(object);
}

static void nobody_reacted(void **state)
{
    struct total total = {0};
    struct kinds two = {.name = {"", "up", "", "down"}};
    (void)state;
    expect("a", &total, &two,
           "{\"article\":\"a\",\"total\":0,\"counts\":{\"up\":0,\"down\":0},\"version\":0}");
}

static void whole_numbers_stay_whole(void **state)
{
    struct total total = {.version = 9007199254740991, .count = {[1] = 9007199254740993, [3] = -2}};
    struct kinds two = {.name = {"", "up", "", "down"}};
    char text[512];
    (void)state;
    cJSON *object = total_json("a", 1, &total, &two);
    assert_true(cJSON_PrintPreallocated(object, text, sizeof text, false));
    assert_non_null(strstr(text, "\"up\":9007199254740993,\"down\":-2"));
    assert_non_null(strstr(text, "\"total\":9007199254740991,"));
    assert_non_null(strstr(text, "\"version\":9007199254740991,"));
    cJSON_Delete(object);
}

static void kinds_without_names(void **state)
{
    struct total total = {.version = 1, .count = {[1] = 1, [8] = 5}};
    (void)state;
    assert_false(total_json_kinds_known(&total, &kinds));
    total.count[8] = 0;
    assert_true(total_json_kinds_known(&total, &kinds));
    total.count[8] = 5;
    cJSON *object = total_json("a", 1, &total, &kinds);
    char *text = cJSON_PrintUnformatted(object);
    assert_non_null(strstr(text, "\"total\":1,")); /* the sum of what is named */
    cJSON_free(text);
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_interfaces),    cmocka_unit_test(hidden),
        cmocka_unit_test(nobody_reacted),      cmocka_unit_test(whole_numbers_stay_whole),
        cmocka_unit_test(kinds_without_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
