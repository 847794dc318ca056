#include "unit.h"

#include "status.h"

#include <cJSON.h>

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    require(cJSON_IsNumber(item), "no number %s", name);
    return item->valuedouble;
}

static void test_members(void **state)
{
    (void)state;
    static struct status status = {
        .ready = false,
        .producer = true,
        .reason = "store: a \"quoted\" reason",
        .refuses = "clock: bad",
        .at_ms = 1795510800123,
        .edge = 0x0f3c000000000001,
        .store = 0x00b1d00000000002,
        .clock_skew_ms = -3,
        .admitted = 120,
        .counts = {.added = 100, .changed = 15, .repeated = 4, .superseded = 1, .batches = 80},
        .receipts = 12,
        .redis_away = 2,
        .audited = 30,
        .audit_differing = 2,
        .audit_skipped = 1,
        .shards = 2,
        .shard = {{.waiting = 3, .backlog_bytes = 192, .old_rings = 1, .held = "why"},
                  {.waiting = 1, .backlog_bytes = 64}},
    };
    status.refused[REASON_FORBIDDEN] = 7;
    char *text = status_write(&status);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    static const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"at_ms", 1795510800123},
        {"clock_skew_ms", -3},
        {"admitted", 120},
        {"applied", 120},
        {"new", 100},
        {"changed", 15},
        {"repeated", 4},
        {"superseded", 1},
        {"quarantined", 0},
        {"lost", 0},
        {"damaged", 0},
        {"in_spool", 4},
        {"in_spool_bytes", 256},
        {"batches", 80},
        {"receipts", 12},
        {"wakeups", 0},
        {"redis_reconnects", 0},
        {"redis_away", 2},
        {"audited", 30},
        {"audit_differing", 2},
        {"audit_skipped", 1},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        require(number(json, numbers[i].name) == numbers[i].value, "%s", numbers[i].name);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "online")));
    assert_string_equal(cJSON_GetObjectItem(json, "version")->valuestring, TALLY_VERSION);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "ready")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "producer")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "redis")));
    assert_string_equal(cJSON_GetObjectItem(json, "reason")->valuestring, status.reason);
    assert_string_equal(cJSON_GetObjectItem(json, "refuses")->valuestring, status.refuses);
    assert_string_equal(cJSON_GetObjectItem(json, "edge")->valuestring, "0f3c000000000001");
    assert_string_equal(cJSON_GetObjectItem(json, "store")->valuestring, "00b1d00000000002");
    const cJSON *refused = cJSON_GetObjectItem(json, "refused");
    for (int i = 0; i < REASON_COUNT; i++)
        assert_true(number(refused, reason_name(i)) == (i == REASON_FORBIDDEN ? 7 : 0));
    const cJSON *shards = cJSON_GetObjectItem(json, "shards");
    assert_int_equal(cJSON_GetArraySize(shards), 2);
    assert_true(number(cJSON_GetArrayItem(shards, 1), "shard") == 1);
    assert_true(number(cJSON_GetArrayItem(shards, 0), "backlog_bytes") == 192);
    assert_true(number(cJSON_GetArrayItem(shards, 0), "old_rings") == 1);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(shards, 0), "held")->valuestring,
                        "why");
    assert_null(strchr(text, '\n'));
    cJSON_Delete(json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
