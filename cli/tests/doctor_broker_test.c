#include "unit.h"

#include "doctor_said.h"

#include "doctor_broker.h"

static void version(const char *text)
{
    struct doctor_report *report = said_begin();
    doctor_broker_version(report, text, "there");
    said_end(report);
}

static void test_versions(void **state)
{
    (void)state;
    version("mosquitto version 2.0.11");
    SAID("ok    broker     there: mosquitto version 2.0.11");
    version("mosquitto version 2.1.2");
    SAID("ok ");
    version("mosquitto version 2.2.0");
    SAID("warn ");
    version("mosquitto version 3.0");
    SAID("warn ");
    version("mosquitto version 1.6.9");
    SAID("FAIL  broker     there: mosquitto version 1.6.9: the plugin needs");
    version("something else");
    SAID("FAIL ");
}

#define NOW_MS 1795510800123

static void collector(const char *text)
{
    struct doctor_report *report = said_begin();
    doctor_broker_collector(report, text, strlen(text), NOW_MS);
    said_end(report);
}

static void test_a_collector_that_is_away(void **state)
{
    (void)state;
    collector("");
    SAID("FAIL  collector  away");
    collector("{\"online\":false}");
    SAID("FAIL  collector  away");
    collector("[1,2");
    SAID("FAIL  collector  away");
}

static void test_what_a_collector_says(void **state)
{
    (void)state;
    collector("{\"online\":true,\"version\":\"" TALLY_VERSION
              "\",\"ready\":true,\"at_ms\":1795510799000}");
    assert_string_equal(said, "ok    collector  ready\n"
                              "ok    versions   collector " TALLY_VERSION "\n");
    collector("{\"online\":true,\"ready\":false,\"reason\":\"clock\",\"at_ms\":1795510799000}");
    assert_non_null(strstr(said, "FAIL  collector  not ready: clock\n"));
    assert_non_null(strstr(said, "warn  versions   the collector does not report"));
    collector("{\"online\":true,\"version\":\"0.0.1\",\"ready\":true,\"at_ms\":1795510790123}");
    assert_non_null(strstr(said, "FAIL  collector  its last status is 10 s old"));
    assert_non_null(strstr(said, "is version 0.0.1, this command is "));
    collector("{\"online\":true,\"version\":\"" TALLY_VERSION "\",\"ready\":true}");
    assert_non_null(strstr(said, "FAIL  collector  its status has no time"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_a_collector_that_is_away),
        cmocka_unit_test(test_what_a_collector_says),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(said);
    return failed;
}
