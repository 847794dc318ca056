#include "ready.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ready ready;
static struct collector_status status;
static bool loaded;

static void collector_says(const char *json)
{
    collector_status_parse(&status, json, strlen(json));
    ready_collector(&ready, &status);
}

static void plugin_says(const char *json)
{
    ready_refusals(&ready, json, strlen(json));
}

static void expect(const char *broker, bool fresh, bool stopping, const char *reasons)
{
    char json[512];
    bool ok = reasons[0] == '\0';
    snprintf(json, sizeof json, "{\"status\":\"%s\",\"reasons\":[%s]}", ok ? "ready" : "not ready",
             reasons);
    struct ready_now now = {
        .broker = broker, .collector_fresh = fresh, .states_loaded = loaded, .stopping = stopping};
    assert_int_equal(ready_check(&ready, &now), ok);
    assert_string_equal(ready.json, json);
}

/* The broker admits, whether a collector runs or not. */
static void without_a_collector(void **state)
{
    (void)state;
    ready_init(&ready);
    expect("", false, false, "");
    collector_says("{\"online\":false}");
    expect("", false, false, "");
    plugin_says("{\"refused\":{\"busy\":7}}"); /* perhaps of last year */
    expect("", false, false, "");
}

static void the_broker_and_the_feed_itself(void **state)
{
    (void)state;
    ready_init(&ready);
    collector_says("{\"online\":true}");
    expect("not connected", true, false, "\"broker: not connected\"");
    expect("", true, true, "\"feed: stopping\"");
    expect("away", true, true, "\"feed: stopping\",\"broker: away\"");
}

static void what_the_collector_says_holds_until_it_says_otherwise(void **state)
{
    (void)state;
    ready_init(&ready);
    collector_says("{\"online\":true,\"ready\":false,\"reason\":\"redis: away\",\"refuses\":\"\"}");
    expect("", true, false, "");
    collector_says("{\"online\":true,\"refuses\":\"clock: 9 ms \\\"off\\\"\"}");
    expect("", true, false, "\"clock: 9 ms \\\"off\\\"\"");
    collector_says("{\"online\":false}");
    expect("", false, false, "\"clock: 9 ms \\\"off\\\"\"");
    collector_says("{\"online\":true,\"refuses\":\"\"}");
    expect("", true, false, "");
}

static void a_full_ring_that_nobody_empties(void **state)
{
    (void)state;
    ready_init(&ready);
    collector_says("{\"online\":true,\"refused\":{\"busy\":3}}");
    plugin_says("{\"refused\":{\"busy\":3}}");
    expect("", false, false, "");
    plugin_says("{\"refused\":{\"busy\":4}}");
    expect("", true, false, ""); /* the collector judges the rings itself */
    expect("", false, false, "\"spool: a ring is full, and no collector empties it\"");
    plugin_says("rubbish");
    plugin_says("{\"refused\":{\"busy\":1e999}}");
    plugin_says("");
    expect("", false, false, "\"spool: a ring is full, and no collector empties it\"");
    collector_says("{\"online\":true,\"refused\":{\"busy\":4}}");
    expect("", false, false, "");
}

/* An edge that joins must not admit what is closed elsewhere. One that loses Redis later has the
 * states in its broker. */
static void states_are_read_first(void **state)
{
    (void)state;
    ready_init(&ready);
    loaded = false;
    collector_says(
        "{\"online\":true,\"refuses\":\"\",\"store\":\"\"}"); /* Redis is away from both */
    expect("", true, false, "");
    collector_says("{\"online\":true,\"refuses\":\"\",\"store\":\"9b1d000000000003\"}");
    expect("", true, false, "\"feed: the states of articles are not read yet\"");
    loaded = true;
    expect("", true, false, "");
    loaded = false;
    expect("", true, false, "");
}

/* The longest that can be said, with each byte escaped. */
static void nothing_is_cut(void **state)
{
    char broker[COLLECTOR_STATUS_REASON_MAX_BYTES + 1];
    (void)state;
    ready_init(&ready);
    memset(broker, 1, sizeof broker - 1);
    broker[sizeof broker - 1] = '\0';
    memcpy(ready.refuses, broker, sizeof broker);
    struct ready_now now = {.broker = broker};
    assert_false(ready_check(&ready, &now));
    assert_int_equal(strlen(strstr(ready.json, "\\u0001")),
                     2 * 6 * (sizeof broker - 1) + strlen("\",\""
                                                          "\"]}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_collector),
        cmocka_unit_test(the_broker_and_the_feed_itself),
        cmocka_unit_test(what_the_collector_says_holds_until_it_says_otherwise),
        cmocka_unit_test(a_full_ring_that_nobody_empties),
        cmocka_unit_test(states_are_read_first),
        cmocka_unit_test(nothing_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
