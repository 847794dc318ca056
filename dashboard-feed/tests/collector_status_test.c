#include "collector_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
    assert_true(status.refused[REASON_BAD_TOPIC] == 1 && status.refused[REASON_FORBIDDEN] == 11 &&
                status.refused[REASON_BUSY] == 0);
}

static void will(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"online\":false}"), 0);
    assert_false(status.online);
}

static void odd_and_bad(void **state)
{
    (void)state;
    assert_int_equal(parse(""), -1);
    assert_int_equal(parse("{"), -1);
    assert_int_equal(parse("[]"), -1);
    assert_int_equal(parse("\"online\""), -1);
    assert_int_equal(parse("{\"online\":true,\"applied\":\"many\",\"refused\":7,\"shards\":7}"), 0);
    assert_true(status.online && status.refused[REASON_BUSY] == 0);
    /* Only a finite number is a number. */
    assert_int_equal(parse("{\"online\":true,\"applied\":1e999,\"clock_skew_ms\":-1e999,"
                           "\"refused\":{\"busy\":1e400}}"),
                     0);
    assert_true(status.refused[REASON_BUSY] == 0);
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
