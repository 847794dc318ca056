#include "unit.h"

#include "broker_options.h"

static struct broker_options options;
static char error[256];

static int parse(const char *text)
{
    error[0] = '\0';
    return broker_options_parse(&options, text, error, sizeof error);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("listener 1883\nplugin /x.so\nplugin_opt_key_file /k\n"), 0);
    assert_string_equal(options.key_file, "/k");
    assert_int_equal(options.shards, 8);
    assert_int_equal(options.kinds.n, 7);
    assert_string_equal(options.topic_prefix, "");
}

static void test_what_is_written(void **state)
{
    (void)state;
    assert_int_equal(parse("plugin_opt_key_file   /a folder/k \r\n\tplugin_opt_shards 64\n"
                           "plugin_opt_kinds up,down\n#plugin_opt_shards 2\n"
                           "plugin_opt_shards_of_mine 3\nplugin_opt_topic_prefix news/"),
                     0);
    assert_string_equal(options.key_file, "/a folder/k");
    assert_int_equal(options.shards, 64);
    assert_int_equal(options.kinds.n, 2);
    assert_string_equal(options.kinds.name[2], "down");
    assert_string_equal(options.topic_prefix, "news/");
}

static void test_what_the_plugin_would_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } wrong[] = {
        {"plugin_opt_shards 0", "plugin_opt_shards: 0 is not 1 to 64"},
        {"plugin_opt_shards 65", "plugin_opt_shards: 65 is not 1 to 64"},
        {"plugin_opt_shards eight", "plugin_opt_shards: eight is not"},
        {"plugin_opt_shards", "plugin_opt_shards:  is not"},
        {"plugin_opt_kinds like,like", "plugin_opt_kinds: "},
        {"plugin_opt_topic_prefix news", "plugin_opt_topic_prefix: news is not"},
        {"listener 1883", "no line plugin_opt_key_file"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s\n",
                 i + 1 < COUNT_OF(wrong) ? "plugin_opt_key_file /k\n" : "", wrong[i].line);
        require(parse(text) == -1, "%s", wrong[i].line);
        require(strstr(error, wrong[i].says) != NULL, "%s: %s", wrong[i].line, error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_what_the_plugin_would_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
