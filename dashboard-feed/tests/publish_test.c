/* The mark; what publish does with a broker is tested by tests/system/test_feed.py. */
#include "publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void append(char *text, size_t size, const char *more)
{
    size_t bytes = strlen(text);
    assert_true((size_t)snprintf(text + bytes, size - bytes, "%s", more) < size - bytes);
}

static struct publish_mark mark;

static int parse(const char *json)
{
    return publish_mark_parse(&mark, json, strlen(json));
}

static void there_and_back(void **state)
{
    struct publish_mark made = {.epoch = "6f0c000000000001",
                                .store = "9b1d000000000002",
                                .shards = 3,
                                .run = {"5af3b0c1d2e3", "", "7c"},
                                .covered = {1795510800123456, 0, 9007199254740991}};
    (void)state;
    char *json = publish_mark_json(&made);
    assert_string_equal(json, "{\"epoch\":\"6f0c000000000001\",\"store\":\"9b1d000000000002\","
                              "\"runs\":[\"5af3b0c1d2e3\",\"\",\"7c\"],"
                              "\"covered\":[1795510800123456,0,9007199254740991]}");
    assert_int_equal(parse(json), 0);
    assert_memory_equal(&mark, &made, sizeof mark);
    free(json);
}

static void a_mark_without_a_run_for_each_shard_knows_none(void **state)
{
    static const char *const json[] = {
        "{\"epoch\":\"a\",\"store\":\"b\",\"run\":\"5af3\",\"covered\":[1,2]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"runs\":\"5af3\",\"covered\":[1,2]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"runs\":[\"5af3\"],\"covered\":[1,2]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"runs\":[1,null],\"covered\":[1,2]}",
        ("{\"epoch\":\"a\",\"store\":\"b\",\"runs\":[\"0123456789abcdef0123456789abcdef0\",\"\"],"
         "\"covered\":[1,2]}"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof json / sizeof json[0]; i++) {
        assert_int_equal(parse(json[i]), 0);
        assert_int_equal(mark.shards, 2);
        assert_string_equal(mark.run[0], "");
        assert_string_equal(mark.run[1], "");
    }
}

static void what_is_no_mark(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"epoch\":\"a\",\"store\":\"b\"}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"covered\":[]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"covered\":[1,-1]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"covered\":[1,\"2\"]}",
        "{\"epoch\":\"a\",\"store\":\"b\",\"covered\":[1e300]}",
        "{\"epoch\":\"a\",\"store\":7,\"covered\":[1]}",
        "{\"epoch\":\"0123456789abcdef0\",\"store\":\"b\",\"covered\":[1]}",
        "{\"epoch\":\"a\",\"store\":\"0123456789abcdef0123456789abcdef0\",\"covered\":[1]}",
    };
    char many[COVER_MAX_SHARDS * 2 + 64] = "{\"epoch\":\"a\",\"store\":\"b\",\"covered\":[1";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(bad[i]), -1);
    for (int i = 1; i < COVER_MAX_SHARDS; i++)
        append(many, sizeof many, ",1");
    append(many, sizeof many, "]}");
    assert_int_equal(parse(many), 0);
    many[strlen(many) - 2] = '\0';
    append(many, sizeof many, ",1]}");
    assert_int_equal(parse(many), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_mark_without_a_run_for_each_shard_knows_none),
        cmocka_unit_test(what_is_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
