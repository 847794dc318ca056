#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit.h"

#define MS 1000u
#define INTERVAL_MS 6000u
#define FORMER 41u /* the number before the first one's */

static struct probe probe;
static uint64_t now_us;
static char correlation[PROBE_CORRELATION_BYTES];

static int begin(void **state)
{
    (void)state;
    now_us = 1000000;
    probe_init(&probe, INTERVAL_MS, FORMER, now_us);
    return 0;
}

static bool receipt(const char *json)
{
    return probe_hear_receipt(&probe, correlation, strlen(correlation), json, strlen(json), now_us);
}

static bool total(int n)
{
    char json[64];
    snprintf(json, sizeof json, "{\"article\":\"%%probe/x\",\"total\":%d}", n);
    return probe_hear_total(&probe, json, strlen(json), now_us);
}

/* Waits for the next one. Returns what goes out. */
static struct probe_reaction next(void)
{
    now_us += probe_rest_us(&probe, now_us);
    assert_true(probe_begin(&probe, now_us));
    now_us += 2 * MS;
    struct probe_reaction reaction = probe_connected(&probe, now_us);
    memcpy(correlation, reaction.correlation, sizeof correlation);
    return reaction;
}

/* What the first one does: afterwards the reader's reaction is known. */
static void learn(void)
{
    assert_true(next().withdraw);
    assert_true(receipt("{\"outcome\":\"retracted\"}"));
}

static bool expire(void)
{
    now_us += probe_rest_us(&probe, now_us);
    return probe_expire(&probe, "", now_us);
}

static void measures_each_way(void **state)
{
    (void)state;
    assert_int_equal(probe_rest_us(&probe, now_us), INTERVAL_MS * MS);
    assert_false(probe_begin(&probe, now_us));
    learn();
    assert_string_equal(correlation, "42");
    assert_int_equal(probe.done, 0);
    assert_true(probe.withdrew);
    for (int i = 1; i <= 4; i++) {
        struct probe_reaction reaction = next();
        assert_int_equal(reaction.withdraw, i % 2 == 0);
        probe_acknowledged(&probe, now_us += 1 * MS);
        now_us += 2 * MS;
        assert_false(
            receipt(i % 2 == 0 ? "{\"outcome\":\"retracted\"}" : "{\"outcome\":\"counted\"}"));
        now_us += 4 * MS;
        assert_false(total(i % 2 == 0)); /* an earlier one */
        assert_true(total(i % 2));
        assert_int_equal(probe.done, i);
        assert_int_equal(probe.connect_us, 2 * MS);
        assert_int_equal(probe.acknowledge_us, 1 * MS);
        assert_int_equal(probe.receipt_us, 3 * MS);
        assert_int_equal(probe.total_us, 7 * MS);
    }
    assert_int_equal(histogram_up_to(&probe.total_s, probe.total_s.n), 4);
    assert_true(probe.total_s.sum > 0.0279 && probe.total_s.sum < 0.0281);
    assert_true(probe.receipt_s.sum > 0.0119 && probe.receipt_s.sum < 0.0121);
    assert_string_equal(probe_why(&probe), "");
}

/* The collector's message and the feed's come over two connections. */
static void a_total_may_come_first(void **state)
{
    (void)state;
    learn();
    next();
    now_us += 5 * MS;
    assert_false(total(1));
    now_us += 5 * MS;
    assert_true(receipt("{\"outcome\":\"counted\"}"));
    assert_int_equal(probe.total_us, 5 * MS);
    assert_int_equal(probe.receipt_us, 10 * MS);
    assert_false(total(1)); /* it has ended */
    assert_int_equal(probe.done, 1);
}

static void begins_by_the_clock(void **state)
{
    (void)state;
    learn();
    uint64_t begun_us = probe.begun_us;
    next();
    assert_int_equal(probe.begun_us, begun_us + INTERVAL_MS * MS);
    assert_false(probe_begin(&probe, now_us + 3 * INTERVAL_MS * MS)); /* one is in flight */
}

static void each_missing_step_is_named(void **state)
{
    (void)state;
    learn();
    now_us += probe_rest_us(&probe, now_us);
    assert_true(probe_begin(&probe, now_us));
    assert_false(probe_expire(&probe, "", now_us + PROBE_MAX_MS * MS - 1));
    assert_true(expire());
    assert_int_equal(probe.failed[PROBE_CONNECTION], 1);
    assert_string_equal(probe.why, "no connection within 5 s");
    now_us += probe_rest_us(&probe, now_us);
    assert_true(probe_begin(&probe, now_us));
    now_us += probe_rest_us(&probe, now_us);
    assert_true(probe_expire(&probe, "not authorised", now_us));
    assert_string_equal(probe.why, "no connection within 5 s: not authorised");

    next();
    assert_true(expire());
    assert_int_equal(probe.failed[PROBE_ACKNOWLEDGEMENT], 1);

    next();
    probe_refused(&probe);
    assert_true(expire());
    assert_int_equal(probe.failed[PROBE_REFUSED], 1);

    next();
    probe_acknowledged(&probe, now_us);
    assert_true(expire());
    assert_int_equal(probe.failed[PROBE_RECEIPT], 1);

    learn();
    next();
    probe_acknowledged(&probe, now_us);
    assert_false(receipt("{\"outcome\":\"counted\"}"));
    assert_true(expire());
    assert_int_equal(probe.failed[PROBE_TOTAL], 1);
    assert_string_equal(probe.why, "no total within 5 s");
    assert_false(probe_expire(&probe, "", now_us + 60000 * MS)); /* none is in flight */

    next();
    assert_true(probe_lost(&probe, now_us));
    assert_false(probe_lost(&probe, now_us));
    assert_int_equal(probe.failed[PROBE_CONNECTION], 3);
    assert_int_equal(probe.in_a_row, 7);
    assert_int_equal(probe.done, 0);
}

static void a_refusal_ends_it_at_once(void **state)
{
    (void)state;
    learn();
    unsigned kind = next().kind;
    probe_refused(&probe);
    assert_true(receipt("{\"outcome\":\"refused\",\"reason\":\"busy\"}"));
    assert_string_equal(probe.why, "the reaction is refused: busy");
    learn();
    assert_int_equal(next().kind, kind);
    assert_true(receipt("{\"outcome\":\"refused\",\"reason\":\"unknown_kind\"}"));
    learn();
    assert_int_equal(next().kind, kind + 1);
    assert_true(receipt("{\"outcome\":\"superseded\",\"current\":\"like\"}"));
    assert_int_equal(probe.failed[PROBE_REFUSED], 3);
}

static void health_waits_for_the_second_failure(void **state)
{
    (void)state;
    learn();
    next();
    assert_true(expire());
    assert_string_equal(probe_why(&probe), "");
    next();
    assert_true(expire());
    assert_string_equal(probe_why(&probe), "no acknowledgement within 5 s");
    /* What only learns does not prove that totals are shown. */
    learn();
    assert_string_equal(probe_why(&probe), "no acknowledgement within 5 s");
    assert_false(next().withdraw);
    assert_false(receipt("{\"outcome\":\"counted\"}"));
    assert_true(total(1));
    assert_string_equal(probe_why(&probe), "");
    assert_int_equal(probe.in_a_row, 0);
}

/* After a failure the reader's reaction may be either; and what was sent then may still be applied,
 * and shown, before the next one's. */
static void learns_again_after_a_failure(void **state)
{
    (void)state;
    learn();
    next();
    assert_true(expire());
    assert_true(next().withdraw);
    assert_false(total(1));
    assert_false(total(0));
    assert_true(receipt("{\"outcome\":\"retracted\"}"));
    assert_int_equal(probe.done, 0);
    assert_false(next().withdraw);
}

static void others_messages_change_nothing(void **state)
{
    static const char counted[] = "{\"outcome\":\"counted\"}";
    (void)state;
    learn();
    char before[PROBE_CORRELATION_BYTES];
    memcpy(before, correlation, sizeof before);
    next();
    assert_string_not_equal(before, correlation);
    assert_false(
        probe_hear_receipt(&probe, before, strlen(before), counted, strlen(counted), now_us));
    assert_false(probe_hear_receipt(&probe, NULL, 0, counted, strlen(counted), now_us));
    assert_false(receipt("rubbish"));
    assert_false(receipt(""));
    assert_false(receipt("{\"outcome\":3}"));
    assert_false(probe_hear_total(&probe, "rubbish", 7, now_us));
    assert_false(probe_hear_total(&probe, "", 0, now_us));
    assert_false(probe_hear_total(&probe, "{\"total\":\"1\"}", 13, now_us));
    assert_int_equal(probe.receipt_us, 0);
    assert_int_equal(probe.total_us, 0);
    probe_abandon(&probe, now_us);
    assert_false(receipt(counted));
    assert_true(next().withdraw);
    for (int i = 0; i < PROBE_FAILURES; i++)
        assert_int_equal(probe.failed[i], 0);
}

static void says_what_it_took(void **state)
{
    char json[PROBE_JSON_MAX_BYTES];
    (void)state;
    learn();
    next();
    now_us += 1500;
    assert_false(receipt("{\"outcome\":\"counted\"}"));
    now_us += 500;
    assert_true(total(1));
    probe_json(&probe, "%probe/0123456789abcdef", 1795510800123, json);
    assert_string_equal(
        json, "{\"at_ms\":1795510800123,\"article\":\"%probe/0123456789abcdef\",\"ok\":true,"
              "\"reason\":\"\",\"failed_in_a_row\":0,\"connect_ms\":2,\"acknowledge_ms\":null,"
              "\"receipt_ms\":1.5,\"total_ms\":2,\"done\":1,\"failed\":{\"connection\":0,"
              "\"acknowledgement\":0,\"refused\":0,\"receipt\":0,\"total\":0}}");
    /* The longest. */
    next();
    assert_true(receipt(
        "{\"outcome\":"
        "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\","
        "\"reason\":\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\"}"));
    for (int i = 0; i < PROBE_FAILURES; i++)
        probe.failed[i] = UINT64_C(1) << 52;
    probe_json(&probe, "%probe/0123456789abcdef", 1795510800123, json);
    assert_non_null(strstr(json, "\"total\":4503599627370496}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(measures_each_way, begin),
        cmocka_unit_test_setup(a_total_may_come_first, begin),
        cmocka_unit_test_setup(begins_by_the_clock, begin),
        cmocka_unit_test_setup(each_missing_step_is_named, begin),
        cmocka_unit_test_setup(a_refusal_ends_it_at_once, begin),
        cmocka_unit_test_setup(health_waits_for_the_second_failure, begin),
        cmocka_unit_test_setup(learns_again_after_a_failure, begin),
        cmocka_unit_test_setup(others_messages_change_nothing, begin),
        cmocka_unit_test_setup(says_what_it_took, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
