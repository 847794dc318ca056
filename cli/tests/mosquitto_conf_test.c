#include "unit.h"

#include "mosquitto_conf.h"

#include <unistd.h>

static struct mosquitto_conf conf;
static struct error error;
static char path[] = "/tmp/tally-mosquitto-XXXXXX";
static char *text;

/* Parses a file and one argument (or NULL), and prints to `text`. */
static int parse(const char *file, const char *argument)
{
    char named[sizeof path + 16];
    char *argv[] = {(char *)(uintptr_t) "mosquitto-conf", named, (char *)(uintptr_t)argument, NULL};
    size_t bytes;
    int help = 0;
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(file, out);
    assert_int_equal(fclose(out), 0);
    (void)snprintf(named, sizeof named, "--config=%s", path);
    error.text[0] = '\0';
    free(text);
    text = NULL;
    int rc =
        mosquitto_conf_parse(&conf, argument == NULL ? 2 : 3, argv, NO_ENVIRONMENT, &help, &error);
    if (rc != 0)
        return rc;
    out = open_memstream(&text, &bytes);
    assert_non_null(out);
    mosquitto_conf_print(&conf, out);
    assert_int_equal(fclose(out), 0);
    mosquitto_conf_fini(&conf);
    return 0;
}

#define COMMON "[common]\nspool = /s\nservices_file = /f\nkey_file = /k\n"

static void test_all_that_the_broker_needs(void **state)
{
    (void)state;
    assert_int_equal(parse(COMMON
                           "mqtt_port = 2000\nredis_host = r\n[broker]\nkinds = a,b\nshards = 4\n"
                           "token_issuer =\n[mosquitto]\nplugin = /p.so\nbind_address = 10.0.0.1\n",
                           "--websocket-port=2001"),
                     0);
    assert_non_null(strstr(text, "\nplugin /p.so\nplugin_opt_"));
    assert_non_null(strstr(text, "\nplugin_opt_spool /s\n"));
    assert_non_null(strstr(text, "\nplugin_opt_services_file /f\n"));
    assert_non_null(strstr(text, "\nplugin_opt_key_file /k\n"));
    assert_non_null(strstr(text, "\nplugin_opt_shards 4\n"));
    assert_non_null(strstr(text, "\nplugin_opt_kinds a,b\n"));
    assert_non_null(strstr(text, "\nlistener 2000 10.0.0.1\n"));
    assert_non_null(strstr(text, "\nlistener 2001 10.0.0.1\nprotocol websockets\n"));
    assert_null(strstr(text, "token_issuer"));
    assert_null(strstr(text, "redis_host"));
    assert_null(strstr(text, "include_dir"));
    assert_int_equal(parse(COMMON, "--include-dir=/etc/tally/listeners"), 0);
    assert_non_null(strstr(text, "\ninclude_dir /etc/tally/listeners\n"));
    assert_non_null(strstr(text, "/tally/tally-broker-plugin.so\n"));
}

static void test_a_mistake_is_found_before_the_broker_reads_it(void **state)
{
    static const struct {
        const char *file, *argument, *says;
    } rows[] = {
        {"[common]\nspool = /s\n", NULL, "option services_file is missing"},
        {COMMON "[broker]\nring_bytes = 1048577\n", NULL, "option ring_bytes: 1048577 is not"},
        {COMMON "[broker]\nmax_articles = 0\n", NULL, ":6: option max_articles: 0 is not 1 to"},
        {COMMON "[broker]\nidentities = token\n", NULL, "option token_keys is missing"},
        {COMMON "[mosquitto]\nmqtt_port = 9001\n", NULL,
         "mqtt_port and websocket_port are both 9001"},
        {COMMON "[mosquitto]\nbind_address = ::1\n", NULL,
         "bind_address: ::1 is not an IPv4 address"},
        {COMMON, "--plugin=p.so", "option plugin: p.so is not an absolute path"},
        {COMMON, "--include-dir=/a\nuser root", "option include_dir: the value has a control"},
        {COMMON, "--output=", "option output:  is not a file, or -"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(parse(rows[i].file, rows[i].argument) == -1, "row %zu", i);
        require(strstr(error.text, rows[i].says) != NULL, "row %zu: %s", i, error.text);
    }
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
    free(text);
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_the_broker_needs),
        cmocka_unit_test(test_a_mistake_is_found_before_the_broker_reads_it),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
