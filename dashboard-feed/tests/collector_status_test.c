#include "collector_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void append(char *text, size_t size, const char *more)
{
    size_t bytes = strlen(text);
    assert_true((size_t)snprintf(text + bytes, size - bytes, "%s", more) < size - bytes);
}

static struct collector_status status;

static int parse(const char *json)
{
    return collector_status_parse(&status, json, strlen(json));
}

static void whole_status(void **state)
{
    (void)state;
    assert_int_equal(
        parse(
            "{\"online\":true,\"ready\":true,\"reason\":\"\",\"refuses\":\"clock: "
            "bad\",\"at_ms\":1795510800123,\"edge\":"
            "\"0f3c\",\"store\":\"9b1d000000000003\",\"producer\":true,\"redis\":true,\"clock_skew_"
            "ms\":-12,\"admitted\":120,"
            "\"refused\":{\"bad_topic\":1,\"forbidden\":11},\"refusal_receipts_dropped\":2,"
            "\"applied\":119,\"new\":100,\"changed\":14,\"repeated\":4,\"superseded\":1,"
            "\"quarantined\":5,\"lost\":6,\"damaged\":7,\"in_spool\":8,\"in_spool_bytes\":512,"
            "\"batches\":80,\"receipts\":12,\"receipts_dropped\":3,\"wakeups\":70,"
            "\"redis_reconnects\":9,\"audited\":10,\"audit_differing\":11,\"audit_skipped\":12,"
            "\"shards\":[{\"shard\":0,\"backlog_bytes\":512,\"old_rings\":1,"
            "\"held\":\"moved\"},{\"shard\":1,\"backlog_bytes\":0,\"old_rings\":0,\"held\":\"\"}]"
            "}"),
        0);
    assert_true(status.online && status.ready && status.producer);
    assert_string_equal(status.reason, "");
    assert_string_equal(status.refuses, "clock: bad");
    assert_string_equal(status.store, "9b1d000000000003");
    assert_true(status.clock_skew_ms == -12 && status.admitted == 120 && status.applied == 119);
    assert_true(status.refused[REASON_BAD_TOPIC] == 1 && status.refused[REASON_FORBIDDEN] == 11 &&
                status.refused[REASON_BUSY] == 0 && status.refusal_receipts_dropped == 2);
    assert_true(status.fresh == 100 && status.changed == 14 && status.repeated == 4 &&
                status.superseded == 1 && status.quarantined == 5 && status.lost == 6 &&
                status.damaged == 7);
    assert_true(status.in_spool == 8 && status.in_spool_bytes == 512 && status.batches == 80 &&
                status.receipts == 12 && status.receipts_dropped == 3 && status.wakeups == 70 &&
                status.redis_reconnects == 9);
    assert_true(status.audited == 10 && status.audit_differing == 11 && status.audit_skipped == 12);
    assert_int_equal(status.n, 2);
    assert_int_equal(status.shard[0].backlog_bytes, 512);
    assert_int_equal(status.shard[0].old_rings, 1);
    assert_true(status.shard[0].held && !status.shard[1].held);
}

static void will(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"online\":false}"), 0);
    assert_false(status.online);
}

static void odd_and_bad(void **state)
{
    char many[COVER_MAX_SHARDS * 4 + 64] = "{\"online\":true,\"shards\":[";
    (void)state;
    assert_int_equal(parse(""), -1);
    assert_int_equal(parse("{"), -1);
    assert_int_equal(parse("[]"), -1);
    assert_int_equal(parse("\"online\""), -1);
    assert_int_equal(parse("{\"online\":true,\"applied\":\"many\",\"refused\":7,\"shards\":7}"), 0);
    assert_true(status.online && status.applied == 0 && status.n == 0);
    assert_int_equal(parse("{\"online\":true,\"shards\":[{\"shard\":-1,\"backlog_bytes\":1e300}]}"),
                     0);
    assert_int_equal(status.shard[0].backlog_bytes, 0);
    /* Only a finite number is a number. */
    assert_int_equal(parse("{\"online\":true,\"applied\":1e999,\"clock_skew_ms\":-1e999,"
                           "\"refused\":{\"busy\":1e400}}"),
                     0);
    assert_true(status.applied == 0 && status.clock_skew_ms == 0);
    assert_true(status.refused[REASON_BUSY] == 0);
    for (int i = 0; i <= COVER_MAX_SHARDS; i++)
        append(many, sizeof many, i == 0 ? "{}" : ",{}");
    append(many, sizeof many, "]}");
    assert_int_equal(parse(many), 0);
    assert_int_equal(status.n, COVER_MAX_SHARDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_status),
        cmocka_unit_test(will),
        cmocka_unit_test(odd_and_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
