#include "unit.h"

#include "watch_print.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static struct watch_view view;
static char *text;

static void say(const char *topic, uint64_t now_ms, const char *payload)
{
    watch_view_take(&view, topic, payload, strlen(payload), now_ms);
}

static const char *printed(void (*print)(const struct watch_print *print, FILE *out),
                           const char *why, bool totals)
{
    static const struct hot_row rows[] = {{"world/a", 3.25, 15}, {"b", 0.1, 1}};
    const struct watch_print of = {.view = &view,
                                   .now_ms = 2500,
                                   .unix_ms = 1795510800123,
                                   .where = "127.0.0.1:1883",
                                   .why = why,
                                   .hot = rows,
                                   .hot_n = totals ? 2 : 0,
                                   .totals = totals};
    size_t bytes;
    free(text);
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    print(&of, out);
    fclose(out);
    return text;
}

static void fill(void)
{
    watch_view_init(&view);
    say("ops/collector", 1000, "{\"online\":true,\"ready\":true,\"admitted\":100,\"applied\":90}");
    say("ops/collector", 2000,
        "{\"online\":true,\"ready\":false,\"reason\":\"redis: "
        "away\",\"edge\":\"0f\",\"admitted\":112,"
        "\"applied\":90,\"in_spool\":22,\"in_spool_bytes\":900,\"quarantined\":5,\"refused\":{"
        "\"busy\":4}}");
    say("ops/health", 2000, "{\"status\":\"unhealthy\",\"reasons\":[\"redis: away\"]}");
    say("ops/probe", 2000, "{\"ok\":true,\"receipt_ms\":1.5,\"total_ms\":2.25}");
    say("ops/refusals", 2000,
        "{\"connections\":{\"flood\":2,\"token\":0},\"creation\":{\"known\":3,\"max\":9}}");
}

static double number(const cJSON *object, const char *first, const char *second)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, first);
    if (second != NULL)
        item = cJSON_GetObjectItemCaseSensitive(item, second);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void prints_an_object_in_a_line(void **state)
{
    (void)state;
    fill();
    const char *line = printed(watch_print_json, NULL, true);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    cJSON *object = cJSON_Parse(line);
    assert_non_null(object);
    assert_true(number(object, "at_ms", NULL) == 1795510800123);
    assert_true(number(object, "admitted", "total") == 112);
    assert_true(number(object, "admitted", "per_s") == 12);
    assert_true(number(object, "lag", "in_spool") == 22);
    assert_true(number(object, "lag", "oldest_ms") == 1500);
    assert_true(number(cJSON_GetObjectItem(object, "refused"), "busy", "total") == 4);
    assert_true(number(object, "connections_refused", "flood") == 2);
    assert_true(number(object, "articles", "known") == 3);
    assert_true(number(object, "probe", "total_ms") == 2.3);
    assert_true(number(object, "reactions", "lost") == 0);
    assert_true(number(object, "reactions", "quarantined") == 5);
    const cJSON *hottest = cJSON_GetArrayItem(cJSON_GetObjectItem(object, "hottest"), 0);
    assert_string_equal(cJSON_GetObjectItem(hottest, "article")->valuestring, "world/a");
    assert_true(number(hottest, "per_s", NULL) == 3.3);
    cJSON_Delete(object);
}

static void prints_null_for_what_is_not_known(void **state)
{
    (void)state;
    watch_view_init(&view);
    say("ops/collector", 1000, "{\"online\":false}"); /* the will alone */
    cJSON *object = cJSON_Parse(printed(watch_print_json, "refused", false));
    assert_non_null(object);
    assert_true(
        cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "published"), "per_s")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "lag"), "in_spool")));
    assert_true(
        cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "reactions"), "lost")));
    assert_true(
        cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "articles"), "known")));
    assert_string_equal(cJSON_GetObjectItem(object, "broker")->valuestring, "refused");
    assert_true(
        cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetObjectItem(object, "probe"), "total_ms")));
    cJSON_Delete(object);
    const char *lines = printed(watch_print_text, NULL, false);
    assert_null(strstr(lines, "waiting"));
    assert_null(strstr(lines, "lost"));
    assert_null(strstr(lines, "articles"));
    assert_non_null(strstr(lines, "refused                       -                -\n"));
}

static void prints_text(void **state)
{
    static const char *const wanted[] = {
        "health       unhealthy: redis: away\n",
        "collector    not ready: redis: away\n",
        "probe        counted after 1.5 ms, shown after 2.2 ms\n",
        "admitted                   12.0              112\n",
        "  busy                        -                4\n",
        "waiting      22 reactions, 900 bytes; the oldest for at least 1 s\n",
        "connections refused: flood 2\n",
        "         3.2           15  world/a\n"};
    (void)state;
    fill();
    view.refused[REASON_BUSY].rated = false;
    const char *lines = printed(watch_print_text, NULL, true);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        require(strstr(lines, wanted[i]) != NULL, "%s in\n%s", wanted[i], lines);
    assert_null(strstr(lines, "rate_reader"));
    assert_null(strchr(lines, '\x1b'));
    assert_null(strstr(printed(watch_print_text, NULL, false), "hottest"));
}

static void cuts_what_a_terminal_does_not_show(void **state)
{
    char *drawn = NULL;
    size_t bytes;
    (void)state;
    FILE *out = open_memstream(&drawn, &bytes);
    assert_non_null(out);
    watch_print_paint("abcd\n\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\n\nmore\n", 4, 3,
                      out);
    fclose(out);
    assert_string_equal(drawn,
                        "\x1b[H"
                        "abc\x1b[K\r\n\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\x1b[K\r\n\x1b[K\x1b[J");
    free(drawn);
}

static int done(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(prints_an_object_in_a_line, done),
        cmocka_unit_test_teardown(prints_null_for_what_is_not_known, done),
        cmocka_unit_test_teardown(prints_text, done),
        cmocka_unit_test(cuts_what_a_terminal_does_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
