#include "health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct health health;

static void say(const char *json, uint64_t now_ms)
{
    health_collector(&health, json, strlen(json), now_ms);
}

static void expect(const char *redis, const char *broker, uint64_t now_ms, bool ok,
                   const char *json)
{
    health_check(&health, redis, broker, "", now_ms);
    assert_int_equal(health.ok, ok);
    assert_string_equal(health.json, json);
}

static void every_part_says_why(void **state)
{
    (void)state;
    health_init(&health);
    assert_false(health.ok);
    expect("not connected", "not connected", 0, false,
           "{\"status\":\"unhealthy\",\"reasons\":[\"redis: not connected\",\"broker: not "
           "connected\",\"collector: not heard of\"]}");
    say("{\"online\":true,\"ready\":true}", 1000);
    expect("", "", 1000, true, "{\"status\":\"ok\",\"reasons\":[]}");
    expect("a \"store\"", "", 1000, false,
           "{\"status\":\"unhealthy\",\"reasons\":[\"redis: a \\\"store\\\"\"]}");
    say("{\"online\":true,\"ready\":false,\"reason\":\"clock\"}", 2000);
    expect("", "", 2000, false, "{\"status\":\"unhealthy\",\"reasons\":[\"collector: clock\"]}");
    say("{\"online\":true,\"ready\":false}", 2000);
    expect("", "", 2000, false,
           "{\"status\":\"unhealthy\",\"reasons\":[\"collector: not ready\"]}");
    say("{\"online\":false}", 2000);
    expect("", "", 2000, false, "{\"status\":\"unhealthy\",\"reasons\":[\"collector: offline\"]}");
    say("rubbish", 2000);
    expect("", "", 2000, false, "{\"status\":\"unhealthy\",\"reasons\":[\"collector: offline\"]}");
}

/* The longest that each part says arrives whole, all of them at once, and every byte escaped. */
static void no_reason_is_cut(void **state)
{
    char reason[HEALTH_WHY_MAX_BYTES + 1], said[HEALTH_WHY_MAX_BYTES * 2 + 100], json[12288];
    (void)state;
    health_init(&health);
    memset(reason, '"', HEALTH_WHY_MAX_BYTES);
    reason[HEALTH_WHY_MAX_BYTES] = '\0';
    char *at = said + sprintf(said, "{\"online\":true,\"ready\":false,\"reason\":\"");
    for (int i = 0; i < HEALTH_WHY_MAX_BYTES; i++)
        at += sprintf(at, "\\\"");
    strcpy(at, "\"}");
    say(said, 1);
    assert_true(health_check(&health, reason, reason, reason, 1));
    at = json + sprintf(json, "{\"status\":\"unhealthy\",\"reasons\":[");
    static const char *const part[] = {"redis", "broker", "collector", "probe"};
    for (int p = 0; p < 4; p++) {
        at += sprintf(at, "%s\"%s: ", p > 0 ? "," : "", part[p]);
        for (int i = 0; i < HEALTH_WHY_MAX_BYTES; i++)
            at += sprintf(at, "\\\"");
        at += sprintf(at, "\"");
    }
    strcpy(at, "]}");
    assert_string_equal(health.json, json);

    /* A reason longer than any of ours is cut between two words and ends with an ellipsis. */
    memset(reason, 'x', HEALTH_WHY_MAX_BYTES);
    reason[400] = ' ';
    snprintf(said, sizeof said, "{\"online\":true,\"ready\":false,\"reason\":\"%syyy\"}", reason);
    say(said, 1);
    assert_true(health_check(&health, "", "", "", 1));
    size_t bytes = strlen(health.json);
    assert_string_equal(health.json + bytes - 8, "x \xe2\x80\xa6\"]}");
}

static void old_status_is_none(void **state)
{
    (void)state;
    health_init(&health);
    say("{\"online\":true,\"ready\":true}", 1000);
    expect("", "", 6000, true, "{\"status\":\"ok\",\"reasons\":[]}");
    assert_true(health_collector_fresh(&health, 6000));
    expect("", "", 6001, false,
           "{\"status\":\"unhealthy\",\"reasons\":[\"collector: away: no status for 5 s\"]}");
    assert_false(health_collector_fresh(&health, 6001));
    say("{\"online\":true,\"ready\":true}", 7000);
    expect("", "", 7000, true, "{\"status\":\"ok\",\"reasons\":[]}");
    health_forget_collector(&health);
    expect("", "", 7000, false,
           "{\"status\":\"unhealthy\",\"reasons\":[\"collector: not heard of\"]}");
}

static void tells_only_changes(void **state)
{
    (void)state;
    health_init(&health);
    assert_true(health_check(&health, "", "", "", 0));
    assert_false(health_check(&health, "", "", "", 100));
    assert_true(health_check(&health, "", "", "no total within 5 s", 100));
    assert_non_null(strstr(health.json, "\"probe: no total within 5 s\"]}"));
    assert_true(health_check(&health, "x", "", "", 100));
    assert_false(health_check(&health, "x", "", "", 100));
    health_offline(&health);
    assert_string_equal(health.json, "{\"status\":\"unhealthy\",\"reasons\":[\"feed: offline\"]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_says_why),
        cmocka_unit_test(no_reason_is_cut),
        cmocka_unit_test(old_status_is_none),
        cmocka_unit_test(tells_only_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
