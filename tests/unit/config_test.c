#include "unit.h"

#include "core/config.h"

#include <stdbool.h>
#include <unistd.h>

struct settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    char redis_host[OPTION_TEXT_MAX_BYTES + 1];
    char redis_url[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t redis_port, batch_records;
    bool adopt;
};

#define AT(field) offsetof(struct settings, field)

static const struct option table[] = {
    CONFIG_OPTION(AT(config)),
    {"spool", OPTION_TEXT, AT(spool), 1, OPTION_TEXT_MAX_BYTES, NULL, "a folder", "spool"},
    {"redis_host", OPTION_TEXT, AT(redis_host), 0, OPTION_TEXT_MAX_BYTES, "127.0.0.1", "a name",
     "Redis"},
    {"redis_port", OPTION_NUMBER, AT(redis_port), 1, 65535, "6390", "1 to 65535", "port"},
    {"redis_url", OPTION_TEXT, AT(redis_url), 0, OPTION_TEXT_MAX_BYTES, "", "a URL", "Redis"},
    {"batch_records", OPTION_NUMBER, AT(batch_records), 1, 4000, "1000", "1 to 4000", "batch"},
    {"adopt", OPTION_SWITCH, AT(adopt), 0, 0, "off", "on or off", "adopt"},
};
#define N COUNT_OF(table)
#define WORDS_MAX 8

static struct settings settings;
static struct error error;
static char path[] = "/tmp/tally-config-XXXXXX";

static void write_file(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* Parses with the file, variables and arguments given; each list ends with NULL. */
static int parse_section(const char *section, const char *const *variables,
                         const char *const *arguments)
{
    char *argv[WORDS_MAX] = {(char *)(uintptr_t) "program"}, *environment[WORDS_MAX] = {NULL};
    char named[sizeof path + 16];
    int argc = 1, help = 0, rc = -1;
    size_t n = 0;
    (void)snprintf(named, sizeof named, "TALLY_CONFIG=%s", path);
    environment[n++] = named;
    for (; *variables != NULL; variables++)
        environment[n++] = (char *)(uintptr_t)*variables;
    for (; *arguments != NULL; arguments++)
        argv[argc++] = (char *)(uintptr_t)*arguments;
    memset(&settings, 0x55, sizeof settings);
    error.text[0] = '\0';
    struct config *config = config_new(table, N, section, argc, argv, environment, &error);
    if (config != NULL)
        rc = option_parse(table, N, &settings, config_argc(config), config_argv(config), &help,
                          &error);
    config_free(config);
    return rc;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define FILE_OF(text) write_file(text, sizeof(text) - 1)

static int parse(const char *const *variables, const char *const *arguments)
{
    return parse_section("collector", variables, arguments);
}

static const char *const none[] = {NULL};

static void test_a_file(void **state)
{
    (void)state;
    FILE_OF("# of this machine\n\n[common]\nspool = /var/lib/tally/spool \r\n redis_port=6379\n"
            "[collector]\nbatch_records\t= 7\nadopt = on\n[feed]\nanything = at all\n");
    assert_int_equal(parse(none, none), 0);
    assert_string_equal(settings.spool, "/var/lib/tally/spool");
    assert_int_equal(settings.redis_port, 6379);
    assert_int_equal(settings.batch_records, 7);
    assert_true(settings.adopt);
    assert_string_equal(settings.redis_host, "127.0.0.1");

    assert_int_equal(parse_section(NULL, none, none), 0); /* [common] alone */
    assert_string_equal(settings.spool, "/var/lib/tally/spool");
    assert_int_equal(settings.batch_records, 1000);

    FILE_OF("[collector]\nspool = /a = b # c\nredis_port = 1");
    assert_int_equal(parse(none, none), 0);
    assert_string_equal(settings.spool, "/a = b # c");
}

static void test_the_nearest_source_wins(void **state)
{
    const char *const variable[] = {"TALLY_REDIS_PORT=3", NULL};
    const char *const own[] = {"TALLY_REDIS_PORT=3", "TALLY_COLLECTOR_REDIS_PORT=4", NULL};
    const char *const argument[] = {"--redis-port=5", NULL};
    (void)state;
    FILE_OF("[common]\nspool = /s\nredis_port = 1\n[collector]\n");
    assert_int_equal(parse(none, none), 0);
    assert_int_equal(settings.redis_port, 1);
    FILE_OF("[collector]\nredis_port = 2\n[common]\nspool = /s\nredis_port = 1\n");
    assert_int_equal(parse(none, none), 0);
    assert_int_equal(settings.redis_port, 2);
    assert_int_equal(parse(variable, none), 0);
    assert_int_equal(settings.redis_port, 3);
    assert_int_equal(parse(own, none), 0);
    assert_int_equal(settings.redis_port, 4);
    assert_int_equal(parse(own, argument), 0);
    assert_int_equal(settings.redis_port, 5);
}

static void test_another_way_to_redis_replaces_the_farther_one(void **state)
{
    (void)state;
    FILE_OF("[common]\nspool = /s\nredis_host = a\nredis_port = 1\n");
    assert_int_equal(parse(none, LIST("--redis-url=redis://b")), 0);
    assert_string_equal(settings.redis_url, "redis://b");
    assert_string_equal(settings.redis_host, "127.0.0.1");
    assert_int_equal(settings.redis_port, 6390);
    FILE_OF("[common]\nspool = /s\nredis_url = redis://b\n");
    assert_int_equal(parse(LIST("TALLY_REDIS_HOST=c"), none), 0);
    assert_string_equal(settings.redis_url, "");
    assert_string_equal(settings.redis_host, "c");
}

static void test_variables(void **state)
{
    (void)state;
    FILE_OF("[common]\nspool = /s\n");
    assert_int_equal(parse(LIST("TALLY_COLLECTOR_ADOPT=on", "TALLY_REDIS_PORT=", "TALLY_DATA=/d",
                                "TALLY_FEED_HTTP_PORT=x", "TALLY_BATCH_RECORDS=2"),
                           none),
                     0);
    assert_true(settings.adopt);
    assert_int_equal(settings.redis_port, 6390);
    assert_int_equal(settings.batch_records, 1000); /* common to no two programs */
    assert_int_equal(parse(LIST("TALLY_COLLECTOR_ADOPTS=on"), none), -1);
    assert_non_null(strstr(error.text, "TALLY_COLLECTOR_ADOPTS: unknown option adopts"));
    assert_int_equal(parse(LIST("TALLY_REDIS_PORT=70000"), none), -1);
    assert_string_equal(error.text, "environment variable TALLY_REDIS_PORT: option redis_port: "
                                    "70000 is not 1 to 65535");
}

static void test_which_file(void **state)
{
    char named[sizeof path + 16];
    (void)state;
    FILE_OF("[common]\nspool = /s\n");
    (void)snprintf(named, sizeof named, "--config=%s", path);
    assert_int_equal(parse(LIST("TALLY_CONFIG=/absent"), LIST(named)), 0);
    assert_string_equal(settings.spool, "/s");
    assert_string_equal(settings.config, path);
    assert_int_equal(parse(none, LIST("--config", path)), 0);
    assert_string_equal(settings.spool, "/s");
    assert_int_equal(parse(none, LIST("--config=/absent")), -1);
    assert_string_equal(error.text, "option config: /absent: No such file or directory");
    assert_int_equal(parse(none, LIST("--config=")), -1);
    assert_string_equal(error.text, "option spool is missing: a folder");
    assert_int_equal(parse(none, LIST("--config=/tmp")), -1);
    assert_string_equal(error.text, "option config: /tmp: Is a directory");
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"spool = /s\n", ":1: spool is before the first [section]"},
        {"\n[colector]\n", ":2: unknown section [colector]; known: common, "},
        {"[common\n", ":1: a section is [name]: [common"},
        {"[common]x\n", ":1: a section is [name]: [common]x"},
        {"[common]\nspool\n", ":2: neither a section nor name = value: spool"},
        {"[common]\nbatch_records = 1\n", ":2: [common] does not accept batch_records; "},
        {"[collector]\nbatch_record = 1\n", ":2: unknown option batch_record in this section"},
        {"[collector]\nconfig = /x\n", ":2: unknown option config in this section"},
        {"[collector]\n = 1\n", ":2: unknown option  in this section"},
        {"[collector]\nadopt = on\nadopt = off\n", ":3: adopt is given twice"},
        {"[common]\nspool = /a\n[collector]\n[common]\nspool = /b\n", ":5: spool is given twice"},
        {"[collector]\nbatch_records = 0\n", ":2: option batch_records: 0 is not 1 to 4000"},
        {"[collector]\nadopt =\n", ":2: option adopt:  is not on or off"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file(rows[i].text, strlen(rows[i].text));
        require(parse(none, LIST("--redis-port=1")) == -1, "row %zu", i);
        require(strncmp(error.text, path, strlen(path)) == 0 &&
                    strstr(error.text, rows[i].says) != NULL,
                "row %zu: %s", i, error.text);
    }
    assert_int_equal(parse(none, LIST("--help")), 1); /* a wrong file does not keep help away */
}

static void test_bounds(void **state)
{
    static char text[CONFIG_FILE_MAX_BYTES + 1];
    (void)state;
    memset(text, '\n', sizeof text);
    write_file(text, sizeof text);
    assert_int_equal(parse(none, none), -1);
    assert_non_null(strstr(error.text, "is longer than 65536 bytes"));
    memcpy(text, "[common]\nspool=/s\n", 18);
    write_file(text, sizeof text - 1);
    assert_int_equal(parse(none, none), 0);
    write_file("[common]\nspool=/s\0\n", 19);
    assert_int_equal(parse(none, none), -1);
    assert_non_null(strstr(error.text, "is not text: it has a NUL"));
    memset(text, 'x', 1000);
    memcpy(text, "[common]\nspool=", 15);
    write_file(text, 1000);
    assert_int_equal(parse(none, none), -1);
    assert_non_null(strstr(error.text, ":2: option spool: xxx"));
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file),
        cmocka_unit_test(test_the_nearest_source_wins),
        cmocka_unit_test(test_another_way_to_redis_replaces_the_farther_one),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_which_file),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
