#include "unit.h"

#include "collector_settings.h"

static char *words[8];
static struct collector_settings settings;
static struct error error;

static int parse(const char *a, const char *b, const char *c)
{
    int help = 0, n = 0;
    words[n++] = (char *)(uintptr_t) "tally-collector";
    const char *const given[] = {a, b, c};
    for (int i = 0; i < 3; i++)
        if (given[i] != NULL)
            words[n++] = (char *)(uintptr_t)given[i];
    words[n] = NULL;
    error.text[0] = '\0';
    return collector_settings_parse(&settings, n, words, NO_ENVIRONMENT, &help, &error);
}

static int parse_more(const char *a, const char *b)
{
    char *given[] = {(char *)(uintptr_t) "tally-collector",
                     (char *)(uintptr_t) "--spool=/s",
                     (char *)(uintptr_t) "--services-file=/f",
                     (char *)(uintptr_t)a,
                     (char *)(uintptr_t)b,
                     NULL};
    int help = 0;
    error.text[0] = '\0';
    return collector_settings_parse(&settings, 5, given, NO_ENVIRONMENT, &help, &error);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("--spool=/s", "--services-file=/f", NULL), 0);
    assert_string_equal(settings.spool, "/s");
    assert_string_equal(settings.links.services_file, "/f");
    assert_string_equal(settings.links.user, "tally-collector");
    assert_string_equal(settings.links.mqtt_host, "127.0.0.1");
    assert_int_equal(settings.links.mqtt_port, 1883);
    assert_string_equal(settings.links.redis_host, "127.0.0.1");
    assert_int_equal(settings.links.redis_port, 6390);
    assert_string_equal(settings.links.redis_password_file, "");
    assert_string_equal(settings.links.topic_prefix, "");
    assert_false(settings.adopt);
    assert_int_equal(settings.durability_level, NODE_AOF);
    assert_int_equal(settings.batch_records, 1000);
    assert_int_equal(settings.in_flight, 4);
    assert_int_equal(settings.audit_per_minute, 6);
    assert_int_equal(settings.level, LOG_LEVEL_INFO);
}

static void test_a_switch_may_stand_alone(void **state)
{
    (void)state;
    assert_int_equal(parse("--spool=/s", "--services-file=/f", "--adopt"), 0);
    assert_true(settings.adopt);
}

static void test_durability(void **state)
{
    (void)state;
    assert_int_equal(parse("--spool=/s", "--services-file=/f", "--durability=replicas"), 0);
    assert_int_equal(settings.durability_level, NODE_REPLICAS);
    assert_int_equal(parse("--spool=/s", "--services-file=/f", "--durability=service"), 0);
    assert_int_equal(settings.durability_level, NODE_SERVICE);
}

/* Also where they say what is the default. */
static void test_a_url_excludes_host_and_port(void **state)
{
    static const char *const rows[] = {"--redis-host=127.0.0.1", "--redis-port=6390",
                                       "--redis_host=elsewhere"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(parse_more(rows[i], "--redis-url=redis://a") == -1, "%s", rows[i]);
        assert_non_null(strstr(error.text, "redis_url"));
        require(parse_more(rows[i], "--redis-url=") == 0, "%s: %s", rows[i], error.text);
    }
    assert_int_equal(parse_more("--redis-url", "redis://a"), 0);
}

static void test_refusals_name_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *given, *name;
    } rows[] = {
        {"--batch-records=0", "batch_records"},
        {"--batch-records=4001", "batch_records"},
        {"--in-flight=17", "in_flight"},
        {"--in-flight=0", "in_flight"},
        {"--audit-per-minute=601", "audit_per_minute"},
        {"--mqtt-port=65536", "mqtt_port"},
        {"--redis-port=x", "redis_port"},
        {"--adopt=perhaps", "adopt"},
        {"--durability=always", "durability"},
        {"--log-level=loud", "log_level"},
        {"--log-format=xml", "log_format"},
        {"--topic-prefix=news", "topic_prefix"},
        {"--topic-prefix=a#/", "topic_prefix"},
        {"--colour=red", "colour"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(parse("--spool=/s", "--services-file=/f", rows[i].given) == -1, "%s",
                rows[i].given);
        require(strstr(error.text, rows[i].name) != NULL, "%s: %s", rows[i].given, error.text);
    }
    assert_int_equal(parse("--spool=/s", NULL, NULL), -1);
    assert_non_null(strstr(error.text, "services_file"));
    assert_int_equal(parse("--services-file=/f", NULL, NULL), -1);
    assert_non_null(strstr(error.text, "spool"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_a_switch_may_stand_alone),
        cmocka_unit_test(test_durability),
        cmocka_unit_test(test_a_url_excludes_host_and_port),
        cmocka_unit_test(test_refusals_name_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
