#include "unit.h"

#include "forget.h"

static struct forget_list list;

static int parse(const char *json)
{
    return forget_parse(&list, json, strlen(json));
}

static void reads_a_list(void **state)
{
    (void)state;
    assert_int_equal(
        parse("{\"quiet_s\":21600,\"articles\":[{\"article\":\"a/b\",\"readers\":[\"0c2e4a11\","
              "\"00000001\"]},{\"article\":\"c\",\"readers\":[]}]}"),
        0);
    assert_int_equal(list.quiet_s, 21600);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.one[0].article, "a/b");
    assert_int_equal(list.one[0].bytes, 3);
    assert_string_equal(list.one[0].readers, "0c2e4a1100000001");
    assert_string_equal(list.one[1].readers, "");
}

static void refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"quiet_s\":1}",
        "{\"quiet_s\":0,\"articles\":[]}",
        "{\"quiet_s\":1e99,\"articles\":[]}",
        "{\"quiet_s\":\"1\",\"articles\":[]}",
        "{\"quiet_s\":1,\"articles\":{}}",
        "{\"quiet_s\":1,\"articles\":[1]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"a\"}]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"\",\"readers\":[]}]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"a b\",\"readers\":[]}]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"a\",\"readers\":[\"0c2e4a1\"]}]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"a\",\"readers\":[\"0c2e4a1G\"]}]}",
        "{\"quiet_s\":1,\"articles\":[{\"article\":\"a\",\"readers\":[1]}]}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        require(parse(cases[i]) == -1, "%s", cases[i]);
        assert_int_equal(list.n, 0);
    }
}

static void is_bounded(void **state)
{
    char json[32768];
    (void)state;
    for (size_t n = FORGET_LIST_MAX; n <= FORGET_LIST_MAX + 1; n++) {
        size_t used = (size_t)snprintf(json, sizeof json, "{\"quiet_s\":1,\"articles\":[");
        for (size_t i = 0; i < n; i++)
            used +=
                (size_t)snprintf(json + used, sizeof json - used,
                                 "%s{\"article\":\"a%zu\",\"readers\":[]}", i > 0 ? "," : "", i);
        snprintf(json + used, sizeof json - used, "]}");
        assert_int_equal(parse(json), n == FORGET_LIST_MAX ? 0 : -1);
    }
    for (size_t n = FORGET_READERS_MAX; n <= FORGET_READERS_MAX + 1; n++) {
        size_t used = (size_t)snprintf(
            json, sizeof json, "{\"quiet_s\":1,\"articles\":[{\"article\":\"a\",\"readers\":[");
        for (size_t i = 0; i < n; i++)
            used += (size_t)snprintf(json + used, sizeof json - used, "%s\"%08zx\"",
                                     i > 0 ? "," : "", i);
        snprintf(json + used, sizeof json - used, "]}]}");
        assert_int_equal(parse(json), n == FORGET_READERS_MAX ? 0 : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_list),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
