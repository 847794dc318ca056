#include "unit.h"

#include "self_audit.h"

#include <cJSON.h>

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    require(cJSON_IsNumber(item), "%s", name);
    return item->valuedouble;
}

static const char *text_of(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    require(cJSON_IsString(item), "%s", name);
    return item->valuestring;
}

static void test_members(void **state)
{
    (void)state;
    struct self_audit_counts counts = {
        .audited = 6, .differing = 0, .skipped = 2, .at_ms = 1795510800123, .article = "world/a"};
    char *text = self_audit_write(&counts);
    assert_string_equal(text, "{\"at_ms\":1795510800123,\"article\":\"world/a\",\"audited\":6,"
                              "\"differing\":0,\"skipped\":2,\"last_difference\":null}");
    free(text);
}

static void test_the_last_difference(void **state)
{
    (void)state;
    struct self_audit_counts counts = {.audited = 7, .differing = 1};
    counts.last.at_ms = 1795510800124;
    strcpy(counts.last.article, "world/b");
    counts.last.difference =
        (struct audit_difference){.link = AUDIT_REGISTERS, .expected = 3, .found = -4};
    strcpy(counts.last.difference.what, "like");
    char *text = self_audit_write(&counts);
    cJSON *json = cJSON_Parse(text);
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(json, "last_difference");
    assert_true(number(json, "audited") == 7 && number(json, "differing") == 1);
    assert_true(number(last, "at_ms") == 1795510800124.0);
    assert_string_equal(text_of(last, "article"), "world/b");
    assert_string_equal(text_of(last, "link"), "registers");
    assert_string_equal(text_of(last, "what"), "like");
    assert_true(number(last, "expected") == 3 && number(last, "found") == -4);
    cJSON_Delete(json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_the_last_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
