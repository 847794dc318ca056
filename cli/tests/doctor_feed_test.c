#include "unit.h"

#include "doctor_said.h"

#include "doctor_feed.h"
#include "doctor_ports.h"

static void health(int status, const char *body)
{
    struct doctor_report *report = said_begin();
    doctor_feed_health(report, status, body);
    said_end(report);
}

static void test_health(void **state)
{
    (void)state;
    health(200, "{\"status\":\"ok\",\"reasons\":[]}");
    SAID("ok    feed       healthy");
    health(503, "{\"status\":\"unhealthy\",\"reasons\":[\"redis: away\",\"collector: offline\"]}");
    assert_string_equal(said, "FAIL  feed       /healthz: redis: away\n"
                              "FAIL  feed       /healthz: collector: offline\n");
    health(404, "<html>");
    SAID("FAIL  feed       /healthz answers 404");
}

static void version(const char *body)
{
    struct doctor_report *report = said_begin();
    doctor_feed_version(report, body);
    said_end(report);
}

static void test_version(void **state)
{
    (void)state;
    version("# HELP\ntally_build_info{program=\"tally-feed\",version=\"" TALLY_VERSION "\"} 1\n");
    SAID("ok    versions   feed " TALLY_VERSION);
    version("tally_build_info{version=\"0.0.1\"} 1\n");
    SAID("warn  versions   the feed is version 0.0.1");
    version("");
    SAID("warn  versions   the feed does not report");
}

static void test_target(void **state)
{
    (void)state;
    assert_string_equal(doctor_ports_target("0.0.0.0"), "127.0.0.1");
    assert_string_equal(doctor_ports_target("::"), "::1");
    assert_string_equal(doctor_ports_target("10.0.0.1"), "10.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_target),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(said);
    return failed;
}
