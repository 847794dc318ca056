#include "unit.h"

#include "doctor_report.h"

#include <cjson/cJSON.h>

static char *said;
static size_t said_bytes;
static FILE *out;
static struct doctor_report *report;

static void begin(bool json)
{
    out = open_memstream(&said, &said_bytes);
    assert_non_null(out);
    report = doctor_report_new(out, json);
    assert_non_null(report);
}

static void end(void)
{
    assert_int_equal(doctor_report_end(report), 0);
    doctor_report_free(report);
    assert_int_equal(fclose(out), 0);
}

static void test_a_line_a_finding(void **state)
{
    (void)state;
    begin(false);
    doctor_report_add(report, DOCTOR_OK, "spool", "%s", "/s");
    doctor_report_add(report, DOCTOR_WARN, "clock", "a\nb\tc");
    doctor_report_unseen(report, "services", "/f: %s", "Permission denied");
    doctor_report_add(report, DOCTOR_FAIL, "redis", "away");
    assert_int_equal(doctor_report_status(report), 1);
    end();
    assert_string_equal(said, "ok    spool      /s\n"
                              "warn  clock      a b c\n"
                              "warn  services   could not look: /f: Permission denied\n"
                              "FAIL  redis      away\n");
    free(said);
}

static void test_status(void **state)
{
    (void)state;
    begin(false);
    assert_int_equal(doctor_report_status(report), 0);
    doctor_report_add(report, DOCTOR_WARN, "a", "b");
    assert_int_equal(doctor_report_status(report), 0);
    doctor_report_unseen(report, "a", "b");
    assert_int_equal(doctor_report_status(report), 2);
    doctor_report_add(report, DOCTOR_FAIL, "a", "b");
    assert_int_equal(doctor_report_status(report), 1);
    end();
    free(said);
}

static void test_json(void **state)
{
    (void)state;
    begin(true);
    doctor_report_add(report, DOCTOR_OK, "spool", "\"%s\"", "/s");
    doctor_report_unseen(report, "services", "why");
    doctor_report_add(report, DOCTOR_FAIL, "redis", "away");
    end();
    cJSON *all = cJSON_Parse(said);
    assert_non_null(all);
    assert_int_equal(cJSON_GetObjectItem(all, "ok")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(all, "warn")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(all, "fail")->valueint, 1);
    assert_int_equal(cJSON_GetObjectItem(all, "unseen")->valueint, 1);
    cJSON *findings = cJSON_GetObjectItem(all, "findings");
    assert_int_equal(cJSON_GetArraySize(findings), 3);
    cJSON *first = cJSON_GetArrayItem(findings, 0);
    assert_string_equal(cJSON_GetObjectItem(first, "sign")->valuestring, "ok");
    assert_string_equal(cJSON_GetObjectItem(first, "what")->valuestring, "spool");
    assert_string_equal(cJSON_GetObjectItem(first, "text")->valuestring, "\"/s\"");
    cJSON_Delete(all);
    free(said);
}

static void test_what_is_not_text(void **state)
{
    static const struct {
        const char *from, *to;
    } of[] = {
        {"ü€𝄞", "ü€𝄞"},
        {"\x7f\x1b[2J", "  [2J"},
        {"a\xc2\x9b"
         "2J\xc2\xa0",
         "a  2J\xc2\xa0"},
        {"a\xc3", "a?"},
        {"\xc0\xaf", "??"},
        {"\xe0\x9f\xbf", "???"},
        {"\xed\xa0\x80", "???"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xf0\x8f\x80\x80", "????"},
        {"\xe2\x82z\xff", "??z?"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(of); i++) {
        char wanted[64];
        begin(false);
        doctor_report_add(report, DOCTOR_OK, "a", "%s", of[i].from);
        end();
        (void)snprintf(wanted, sizeof wanted, "ok    a          %s\n", of[i].to);
        assert_string_equal(said, wanted);
        free(said);
    }
}

static void test_a_long_finding_is_cut(void **state)
{
    char longer[2 * DOCTOR_REPORT_TEXT_BYTES];
    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    begin(false);
    doctor_report_unseen(report, "a", "%s", longer);
    end();
    assert_int_equal(said_bytes, sizeof "warn  a          " - 1 + DOCTOR_REPORT_TEXT_BYTES);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_a_finding),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_what_is_not_text),
        cmocka_unit_test(test_a_long_finding_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
