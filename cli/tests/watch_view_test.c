#include "unit.h"

#include "watch_view.h"

static struct watch_view view;

static int fresh(void **state)
{
    (void)state;
    watch_view_init(&view);
    return 0;
}

static void say(const char *topic, uint64_t now_ms, const char *payload)
{
    watch_view_take(&view, topic, payload, strlen(payload), now_ms);
}

static void status(uint64_t now_ms, int admitted, int in_spool, int busy)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "{\"online\":true,\"ready\":true,\"edge\":\"0f3c\",\"admitted\":%d,\"applied\":%d,"
        "\"in_spool\":%d,\"refused\":{\"busy\":%d},\"shards\":[{\"old_rings\":1,\"held\":\"\"},"
        "{\"old_rings\":2,\"held\":\"why\"}]}",
        admitted, admitted - in_spool, in_spool, busy);
    say("ops/collector", now_ms, text);
}

static void takes_rates_from_statuses(void **state)
{
    double per_s;
    (void)state;
    status(1000, 100, 0, 7);
    assert_true(view.admitted.known && !view.admitted.rated);
    status(1300, 101, 0, 7); /* ready changed: too soon for a rate */
    assert_false(view.admitted.rated);
    status(2000, 150, 10, 9);
    assert_true(view.admitted.rated && view.admitted.per_s == 50);
    assert_true(view.applied.per_s == 40);
    assert_true(watch_view_refused(&view, &per_s) == 9 && per_s == 2);
    assert_true(view.old_rings == 3 && view.held_shards == 1);
    status(3000, 3, 0, 9); /* another spool */
    assert_true(view.admitted.value == 3 && !view.admitted.rated);
}

/* What is retained may be old: rates are of the times in the messages. */
static void takes_no_rate_from_when_a_retained_message_came(void **state)
{
    double per_s;
    (void)state;
    say("ops/refusals", 5000, "{\"at_ms\":1000000,\"refused\":{\"busy\":100}}");
    say("ops/collector", 5000,
        "{\"online\":true,\"at_ms\":4600000,\"admitted\":100,\"refused\":{\"busy\":3700}}");
    (void)watch_view_refused(&view, &per_s);
    assert_true(per_s == 1);
    say("ops/collector", 5100,
        "{\"online\":true,\"at_ms\":4601000,\"admitted\":150,\"refused\":{\"busy\":3700}}");
    (void)watch_view_refused(&view, &per_s);
    assert_true(view.admitted.rated && view.admitted.per_s == 50 && per_s == 0);
    say("ops/collector", 6100, "{\"online\":true,\"at_ms\":1000,\"admitted\":150}");
    assert_true(view.admitted.value == 150 && !view.admitted.rated); /* the clock was set back */
}

static void notices_that_the_collector_is_away(void **state)
{
    double per_s;
    (void)state;
    assert_false(watch_view_collector(&view, 10));
    status(1000, 100, 0, 7);
    status(2000, 100, 0, 8);
    assert_true(watch_view_collector(&view, 2000 + WATCH_VIEW_AWAY_MS));
    assert_false(watch_view_collector(&view, 2001 + WATCH_VIEW_AWAY_MS));
    watch_view_pass(&view, 2001 + WATCH_VIEW_AWAY_MS);
    assert_false(view.admitted.rated);
    /* Refusals are then those of the plugin. */
    say("ops/refusals", 8000, "{\"refused\":{\"busy\":18}}");
    watch_view_pass(&view, 8001);
    assert_true(watch_view_refused(&view, &per_s) == 18);
    watch_view_pass(&view, 9001);
    watch_view_pass(&view, 10001);
    assert_true(watch_view_refused(&view, &per_s) == 18 && per_s == 0);
    status(11000, 100, 0, 18);
    say("ops/refusals", 11000, "{\"refused\":{\"busy\":17}}"); /* late: not taken */
    assert_true(watch_view_refused(&view, &per_s) == 18);
    say("ops/collector", 12000, "{\"online\":false}");
    assert_false(watch_view_collector(&view, 12000));
}

static void knows_how_long_the_oldest_waits(void **state)
{
    (void)state;
    for (int s = 1; s <= 10; s++)
        status((uint64_t)s * 1000, s * 100, 0, 0);
    assert_int_equal(watch_view_oldest_ms(&view, 10000), 0);
    /* 150 wait: the oldest came between the statuses of 13 and 14 s. */
    for (int s = 11; s <= 15; s++)
        status((uint64_t)s * 1000, s * 100, s == 15 ? 150 : 0, 0);
    assert_int_equal(watch_view_oldest_ms(&view, 15500), 1500);
    /* More than there was when this began: at least as long as that. */
    status(16000, 1600, 1600, 0);
    assert_int_equal(watch_view_oldest_ms(&view, 16000), 15000);
    for (int s = 17; s < 17 + 2 * WATCH_VIEW_HISTORY; s++)
        status((uint64_t)s * 1000, s * 100, 1000, 0);
    uint64_t now_ms = (16 + 2 * WATCH_VIEW_HISTORY) * UINT64_C(1000);
    assert_int_equal(watch_view_oldest_ms(&view, now_ms), 9000);
}

static void reads_health_refusals_and_marks(void **state)
{
    (void)state;
    say("ops/health", 1,
        "{\"status\":\"unhealthy\",\"reasons\":[\"redis: a\\u001b[31m\",\"b\\u009bc\"]}");
    assert_string_equal(view.health, "unhealthy");
    assert_string_equal(view.reasons, "redis: a?[31m; b?c");
    say("ops/refusals", 1,
        "{\"refused\":{\"busy\":1},\"connections\":{\"flood\":2,\"a\":1,\"b\":1,\"c\":1,\"d\":1,"
        "\"e\":1,\"f\":1,\"g\":1,\"h\":1},\"creation\":{\"known\":5,\"max\":9,\"refused\":{\"off\":"
        "3}}}");
    assert_int_equal(view.connections.n, WATCH_VIEW_GROUP_MAX);
    assert_string_equal(view.connections.of[0].name, "flood");
    assert_true(view.known == 5 && view.max_articles == 9 && view.created_refused.of[0].value == 3);
    assert_false(view.feed);
    say("ops/feed", 1, "{\"epoch\":\"1\"}");
    assert_true(view.feed);
    say("ops/health", 2, "{\"status\":\"ok\",\"reasons\":[]}");
    assert_string_equal(view.reasons, "");
    assert_false(view.probed);
    say("ops/probe", 2, "{\"ok\":true,\"reason\":\"\",\"receipt_ms\":1.5,\"total_ms\":2.5}");
    assert_true(view.probed && view.probe_ok);
    assert_true(view.probe_receipt_ms == 1.5 && view.probe_total_ms == 2.5);
    say("ops/collector", 2, "{\"online\":true,\"at_ms\":1795510845000}");
    say("ops/probe", 3,
        "{\"ok\":false,\"reason\":\"no receipt\",\"receipt_ms\":null,"
        "\"at_ms\":1795510805000}");
    assert_int_equal(watch_view_probe_age_ms(&view, 1002), 41000);
    assert_false(view.probe_ok);
    assert_string_equal(view.probe_reason, "no receipt");
    say("ops/probe", 4, "");
    assert_false(view.probed);
    assert_int_equal(watch_view_probe_age_ms(&view, 1002), 0);
}

static void ignores_what_it_does_not_understand(void **state)
{
    static const char *const wrong[] = {"", "null", "[]", "{", "7", "{\"online\":"};
    (void)state;
    const struct watch_view before = view;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        say("ops/collector", 5, wrong[i]);
        say("ops/refusals", 5, wrong[i]);
        say("ops/health", 5, wrong[i]);
    }
    say("ops/unknown", 5, "{\"online\":true}");
    assert_memory_equal(&before, &view, sizeof view);
    say("ops/collector", 5, "{\"online\":true,\"admitted\":\"7\",\"refused\":[],\"shards\":{}}");
    assert_true(view.admitted.known && view.admitted.value == 0);
}

/* A long reason is cut at a whole character. */
static void cuts_long_texts(void **state)
{
    static char payload[4096];
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        int used = snprintf(payload, sizeof payload, "{\"status\":\"ok\",\"reasons\":[\"%.*s",
                            shift, "ab");
        for (int i = 0; i < 600; i++)
            used += snprintf(payload + used, sizeof payload - (size_t)used, "\xe2\x82\xac");
        snprintf(payload + used, sizeof payload - (size_t)used, "\"]}");
        say("ops/health", 1, payload);
        size_t bytes = strlen(view.reasons);
        assert_true(bytes > WATCH_VIEW_TEXT_BYTES - 8 && bytes < WATCH_VIEW_TEXT_BYTES);
        assert_int_equal((bytes - (size_t)(shift < 2 ? shift : 2)) % 3, 0);
    }
}

static void rates_what_is_published(void **state)
{
    (void)state;
    watch_view_pass(&view, 1000);
    for (int i = 0; i < 30; i++)
        watch_view_published(&view);
    watch_view_pass(&view, 2000);
    assert_true(view.published.rated && view.published.per_s == 30 && view.published.value == 30);
    watch_view_pass(&view, 3000);
    assert_true(view.published.per_s == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_rates_from_statuses, fresh),
        cmocka_unit_test_setup(takes_no_rate_from_when_a_retained_message_came, fresh),
        cmocka_unit_test_setup(notices_that_the_collector_is_away, fresh),
        cmocka_unit_test_setup(knows_how_long_the_oldest_waits, fresh),
        cmocka_unit_test_setup(reads_health_refusals_and_marks, fresh),
        cmocka_unit_test_setup(ignores_what_it_does_not_understand, fresh),
        cmocka_unit_test_setup(cuts_long_texts, fresh),
        cmocka_unit_test_setup(rates_what_is_published, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
