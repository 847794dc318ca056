#include "unit.h"

#include "core/option.h"

#include <stdbool.h>

struct settings {
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    char prefix[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t shards;
    uint64_t port;
    uint64_t any;
    bool allow_wildcards;
};

static const struct option table[] = {
    {"spool", OPTION_TEXT, offsetof(struct settings, spool), 1, OPTION_TEXT_MAX_BYTES, NULL,
     "a directory", "where the spool is"},
    {"topic_prefix", OPTION_TEXT, offsetof(struct settings, prefix), 0, OPTION_TEXT_MAX_BYTES, "",
     "a prefix", "before all topics"},
    {"shards", OPTION_NUMBER, offsetof(struct settings, shards), 1, 64, "8", "1 to 64", "rings"},
    {"port", OPTION_NUMBER, offsetof(struct settings, port), 1, 65535, NULL, "1 to 65535", "port"},
    {"any", OPTION_NUMBER, offsetof(struct settings, any), 0, UINT64_MAX, "0", "a number", "any"},
    {"allow_wildcards", OPTION_SWITCH, offsetof(struct settings, allow_wildcards), 0, 1, "off",
     "on or off", "who may watch"},
};
#define N COUNT_OF(table)

static struct settings settings;
static struct error error;

static int parse(const char *const *arguments, int *help)
{
    char *argv[16] = {(char *)(uintptr_t) "program"};
    int argc = 1;
    while (arguments[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
        argc++;
    }
    memset(&settings, 0x55, sizeof settings);
    error.text[0] = '\0';
    return option_parse(table, N, &settings, argc, argv, help, &error);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL}, &(int){0})

static void sets_defaults(void **state)
{
    (void)state;
    memset(&settings, 0x55, sizeof settings);
    assert_int_equal(option_defaults(table, N, &settings, &error), 0);
    assert_int_equal(settings.shards, 8);
    assert_string_equal(settings.prefix, "");
    assert_string_equal(settings.spool, "");
    assert_false(settings.allow_wildcards);
}

static void parses_a_command_line(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--spool=/var/lib/tally", "--port", "1883", "--topic-prefix=news/",
                           "--shards=64", "--allow-wildcards"),
                     0);
    assert_string_equal(settings.spool, "/var/lib/tally");
    assert_string_equal(settings.prefix, "news/");
    assert_int_equal(settings.port, 1883);
    assert_int_equal(settings.shards, 64);
    assert_true(settings.allow_wildcards);

    assert_int_equal(PARSE("--allow_wildcards", "--spool", "a=b", "--port=1"), 0);
    assert_true(settings.allow_wildcards);
    assert_string_equal(settings.spool, "a=b");
    assert_int_equal(PARSE("--allow-wildcards", "off", "--spool", "x", "--port=1"), 0);
    assert_false(settings.allow_wildcards);
    assert_int_equal(PARSE("--spool", "-", "--port=1", "--topic-prefix="), 0);
    assert_string_equal(settings.spool, "-");
    assert_string_equal(settings.prefix, "");
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *arguments[4];
        const char *said;
    } cases[] = {
        {{"--spool=x"}, "option port is missing: 1 to 65535"},
        {{"--port=1"}, "option spool is missing: a directory"},
        {{"--spool=", "--port=1"}, "option spool:  is not a directory"},
        {{"--spool", "--port=1"}, "option spool has no value: a directory"},
        {{"--spool=x", "--port"}, "option port has no value: 1 to 65535"},
        {{"--shards=0"}, "option shards: 0 is not 1 to 64"},
        {{"--shards=65"}, "option shards: 65 is not 1 to 64"},
        {{"--shards=-1"}, "option shards: -1 is not 1 to 64"},
        {{"--shards=+1"}, "option shards: +1 is not 1 to 64"},
        {{"--shards= 1"}, "option shards:  1 is not 1 to 64"},
        {{"--shards=1k"}, "option shards: 1k is not 1 to 64"},
        {{"--shards=0x1"}, "option shards: 0x1 is not 1 to 64"},
        {{"--shards="}, "option shards:  is not 1 to 64"},
        {{"--shards=18446744073709551617"}, "18446744073709551617 is not 1 to 64"},
        {{"--any=18446744073709551616"}, "18446744073709551616 is not a number"},
        {{"--allow-wildcards=yes"}, "option allow_wildcards: yes is not on or off"},
        {{"--allow-wildcards="}, "option allow_wildcards:  is not on or off"},
        {{"--allow-wildcards", "yes"}, "yes is not an option"},
        {{"--shards=2", "--shards=2"}, "option shards is given twice"},
        {{"--topic-prefix=a", "--topic_prefix=b"}, "option topic_prefix is given twice"},
        {{"--shard=2"}, "unknown option shard; known: spool, topic_prefix, shards, port"},
        {{"--shardss=2"}, "unknown option shardss; known: "},
        {{"--=2"}, "unknown option ; known: "},
        {{"--"}, "unknown option ; known: "},
        {{"-s"}, "-s is not an option"},
        {{"x"}, "x is not an option"},
        {{""}, " is not an option"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int help;
        require(parse(cases[i].arguments, &help) == -1, "'%s'", cases[i].arguments[0]);
        require(strstr(error.text, cases[i].said) != NULL, "'%s' says '%s'", cases[i].arguments[0],
                error.text);
    }
}

static void takes_the_longest_text(void **state)
{
    char value[OPTION_TEXT_MAX_BYTES + 2];
    bool given[N] = {false};
    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_int_equal(option_defaults(table, N, &settings, &error), 0);
    assert_int_equal(option_set(table, N, &settings, given, "spool", value, &error), -1);
    value[OPTION_TEXT_MAX_BYTES] = '\0';
    memset(given, 0, sizeof given);
    assert_int_equal(option_set(table, N, &settings, given, "spool", value, &error), 0);
    assert_string_equal(settings.spool, value);
    assert_int_equal(option_set(table, N, &settings, given, "any", "18446744073709551615", &error),
                     0);
    assert_int_equal(settings.any, UINT64_MAX);
}

static void knows_every_switch_word(void **state)
{
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"on", true},   {"true", true},   {"1", true},
                 {"off", false}, {"false", false}, {"0", false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        bool given[N] = {false};
        settings.allow_wildcards = !words[i].on;
        assert_int_equal(
            option_set(table, N, &settings, given, "allow-wildcards", words[i].word, &error), 0);
        assert_int_equal(settings.allow_wildcards, words[i].on);
        assert_true(given[5]);
    }
}

static void tells_given_from_default(void **state)
{
    char *argv[] = {(char *)(uintptr_t) "program", (char *)(uintptr_t) "--allow-wildcards",
                    (char *)(uintptr_t) "--spool", (char *)(uintptr_t) "shards",
                    (char *)(uintptr_t) "--port=8"};
    (void)state;
    assert_true(option_given(COUNT_OF(argv), argv, "allow_wildcards"));
    assert_true(option_given(COUNT_OF(argv), argv, "spool"));
    assert_true(option_given(COUNT_OF(argv), argv, "port"));
    assert_false(option_given(COUNT_OF(argv), argv, "shards")); /* it is a value */
    assert_false(option_given(COUNT_OF(argv), argv, "por"));
    assert_false(option_given(COUNT_OF(argv), argv, "program"));
}

static void answers_help_and_version(void **state)
{
    static const char *const help_words[] = {"--shards=1", "--help", "--nonsense", NULL};
    static const char *const version_words[] = {"--version", NULL};
    int help = 0;
    (void)state;
    assert_int_equal(parse(help_words, &help), 1);
    assert_int_equal(help, 'h');
    assert_int_equal(parse(version_words, &help), 1);
    assert_int_equal(help, 'v');
}

static void finds_a_wrong_table(void **state)
{
    struct option wrong[N];
    (void)state;
    memcpy(wrong, table, sizeof table);
    wrong[2].initial = "65";
    assert_int_equal(option_defaults(wrong, N, &settings, &error), -1);
    assert_non_null(strstr(error.text, "default 65 of shards is not 1 to 64"));
    memcpy(wrong, table, sizeof table);
    wrong[3].name = "shards";
    assert_int_equal(option_defaults(wrong, N, &settings, &error), -1);
    memcpy(wrong, table, sizeof table);
    wrong[4].help = NULL;
    assert_int_equal(option_defaults(wrong, N, &settings, &error), -1);
}

static void prints_its_table(void **state)
{
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    (void)state;
    assert_non_null(out);
    option_print(table, N, out);
    fclose(out);
    assert_non_null(strstr(text, "spool | required | a directory | where the spool is\n"));
    assert_non_null(strstr(text, "shards | 8 | 1 to 64 | rings\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_defaults),
        cmocka_unit_test(parses_a_command_line),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(takes_the_longest_text),
        cmocka_unit_test(knows_every_switch_word),
        cmocka_unit_test(answers_help_and_version),
        cmocka_unit_test(finds_a_wrong_table),
        cmocka_unit_test(prints_its_table),
        cmocka_unit_test(tells_given_from_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
