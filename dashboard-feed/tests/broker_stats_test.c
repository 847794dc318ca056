/* Numbers are taken from their own topics, and from nothing else. */
#include "broker_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct broker_stats stats;

static void hear(const char *topic, const char *payload)
{
    broker_stats_hear(&stats, topic, payload, strlen(payload));
}

static void numbers_are_taken(void **state)
{
    (void)state;
    memset(&stats, 0, sizeof stats);
    hear("$SYS/broker/clients/connected", "0");
    assert_true(stats.heard[BROKER_STATS_CLIENTS] && stats.value[BROKER_STATS_CLIENTS] == 0);
    hear("$SYS/broker/clients/connected", "12");
    hear("$SYS/broker/bytes/sent", "123456789012");
    assert_true(stats.value[BROKER_STATS_CLIENTS] == 12);
    assert_true(stats.value[BROKER_STATS_SENT_BYTES] == 123456789012.0);
    assert_false(stats.heard[BROKER_STATS_RECEIVED_BYTES]);
}

static void other_messages_change_nothing(void **state)
{
    static const char *const odd[] = {"", "-1", "1.5", " 1", "1 ", "x", "1234567890123456789"};
    (void)state;
    memset(&stats, 0, sizeof stats);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        hear("$SYS/broker/clients/connected", odd[i]);
    hear("$SYS/broker/clients/total", "1");
    hear("$SYS/broker/clients/connected/x", "1");
    hear("", "1");
    for (int i = 0; i < BROKER_STATS_COUNT; i++)
        assert_false(stats.heard[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_taken),
        cmocka_unit_test(other_messages_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
