#include "unit.h"

#include "temp.h"

#include "doctor_file.h"

static char *said;
static size_t said_bytes;
static struct doctor_file *file;
static int status;

#define COMMON "[common]\nspool = /s\nservices_file = /f\nkey_file = /k\n"

/* Reads a file with this text; what it reports is in `said`. */
static void read_text(const char *text)
{
    FILE *out = open_memstream(&said, &said_bytes);
    assert_non_null(out);
    struct doctor_report *report = doctor_report_new(out, false);
    assert_non_null(report);
    temp_write("tally.conf", text, strlen(text), 0644);
    file = doctor_file_read(temp_path("tally.conf"), NO_ENVIRONMENT, report);
    status = doctor_report_status(report);
    doctor_report_free(report);
    assert_int_equal(fclose(out), 0);
}

static void end(void)
{
    doctor_file_free(file);
    free(said);
}

static void test_a_file_without_mistakes(void **state)
{
    (void)state;
    read_text(COMMON "redis_port = 7\n[broker]\nkinds = a,b\nshards = 4\n[feed]\nhttp_port = 81\n"
                     "[collector]\nredis_prefix = x:\n[mosquitto]\nmqtt_port = 1884\n");
    assert_non_null(file);
    assert_string_equal(doctor_file_value(file, DOCTOR_FEED, "redis_port"), "7");
    assert_string_equal(doctor_file_value(file, DOCTOR_FEED, "http_port"), "81");
    assert_string_equal(doctor_file_value(file, DOCTOR_FEED, "redis_prefix"), "tally:");
    assert_string_equal(doctor_file_value(file, DOCTOR_MOSQUITTO, "mqtt_port"), "1884");
    assert_null(doctor_file_value(file, DOCTOR_COLLECTOR, "http_rate"));
    assert_string_equal(doctor_file_any(file, "spool"), "/s");
    assert_string_equal(doctor_file_any(file, "kinds"), "a,b");
    assert_null(doctor_file_any(file, "no_such"));
    assert_int_equal(doctor_file_number(file, "shards"), 4);
    assert_int_equal(doctor_file_broker(file)->shards, 4);
    assert_string_equal(doctor_file_broker(file)->key_file, "/k");
    static struct links links;
    assert_int_equal(doctor_file_links(file, &links), 0);
    assert_int_equal(links.redis_port, 7);
    assert_string_equal(links.redis_prefix, "x:");
    end();
}

static void test_each_programs_mistake_names_its_line(void **state)
{
    (void)state;
    read_text(COMMON "[broker]\nshard = 4\n[collector]\nin_flight = 99\n[feed]\nhttp_rates = 1\n"
                     "[mosquitto]\nmqtt_prot = 1\n");
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "tally.conf:6: unknown option shard in"));
    assert_non_null(strstr(said, "tally.conf:8: option in_flight: 99 is not 1 to 16"));
    assert_non_null(strstr(said, "tally.conf:10: unknown option http_rates in"));
    assert_non_null(strstr(said, "tally.conf:12: unknown option mqtt_prot in"));
    assert_null(doctor_file_broker(file));
    assert_null(doctor_file_any(file, "spool"));
    static struct links links;
    assert_int_equal(doctor_file_links(file, &links), -1);
    end();
}

static void test_a_mistake_of_all_is_one_finding(void **state)
{
    (void)state;
    read_text("[comon]\nspool = /s\n");
    const char *first = strstr(said, "unknown section");
    assert_non_null(first);
    assert_null(strstr(first + 1, "unknown section"));
    end();
}

static void test_what_the_tables_cannot_express(void **state)
{
    (void)state;
    read_text(COMMON "[broker]\nring_bytes = 1048577\n[collector]\ndurability = x\n[feed]\n"
                     "websocket_url = http://x\n");
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "option ring_bytes: 1048577 is not"));
    assert_non_null(strstr(said, "option durability: x is not"));
    assert_non_null(strstr(said, "option websocket_url: http://x is not"));
    end();
}

static void test_programs_that_disagree(void **state)
{
    (void)state;
    read_text(COMMON "[broker]\ntopic_prefix = news/\n[feed]\nredis_port = 9\n");
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "FAIL  file       topic_prefix: [broker] has \"news/\", "
                                 "[collector] has \"\""));
    assert_non_null(strstr(said, "warn  file       redis_port: [collector] has \"6390\", [feed] "
                                 "has \"9\""));
    end();
}

static void test_two_paths_to_one_folder_agree(void **state)
{
    (void)state;
    read_text("[common]\nkey_file = /k\n[broker]\nspool = /usr\nservices_file = /f\n[collector]\n"
              "spool = /usr/../usr\nservices_file = /g\n[feed]\nservices_file = /f\n");
    assert_null(strstr(said, "spool: [broker]"));
    assert_non_null(strstr(said, "warn  file       services_file: [broker] has \"/f\", [collector] "
                                 "has \"/g\""));
    assert_null(strstr(said, "[feed] has"));
    end();
    read_text("[common]\nkey_file = /k\nservices_file = /f\n[broker]\nspool = /usr\n[collector]\n"
              "spool = /etc\n");
    assert_non_null(strstr(said, "FAIL  file       spool: [broker] has \"/usr\""));
    end();
}

static void test_a_mistake_in_mosquitto_hides_the_brokers(void **state)
{
    (void)state;
    read_text(COMMON "[mosquitto]\nmqtt_prot = 1\n");
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "could not look: options of [broker]: mend [mosquitto] first"));
    assert_null(strstr(said, "ok    file       options of [broker]"));
    end();
}

static void test_a_file_that_anyone_may_write(void **state)
{
    (void)state;
    FILE *out = open_memstream(&said, &said_bytes);
    assert_non_null(out);
    struct doctor_report *report = doctor_report_new(out, false);
    temp_write("tally.conf", COMMON, strlen(COMMON), 0666);
    file = doctor_file_read(temp_path("tally.conf"), NO_ENVIRONMENT, report);
    assert_int_equal(doctor_report_status(report), 1);
    doctor_report_free(report);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(said, "tally.conf: mode 0666 lets anyone write it"));
    end();
}

static void test_a_file_that_is_not_there(void **state)
{
    FILE *out = open_memstream(&said, &said_bytes);
    (void)state;
    assert_non_null(out);
    struct doctor_report *report = doctor_report_new(out, false);
    assert_null(doctor_file_read(temp_path("absent"), NO_ENVIRONMENT, report));
    assert_int_equal(doctor_report_status(report), 2);
    doctor_report_free(report);
    assert_int_equal(fclose(out), 0);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_without_mistakes),
        cmocka_unit_test(test_each_programs_mistake_names_its_line),
        cmocka_unit_test(test_a_mistake_of_all_is_one_finding),
        cmocka_unit_test(test_what_the_tables_cannot_express),
        cmocka_unit_test(test_programs_that_disagree),
        cmocka_unit_test(test_two_paths_to_one_folder_agree),
        cmocka_unit_test(test_a_mistake_in_mosquitto_hides_the_brokers),
        cmocka_unit_test(test_a_file_that_anyone_may_write),
        cmocka_unit_test(test_a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
