#include "feed_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/tally-settings-XXXXXX";
static char services[64], password[64];
static struct feed_settings settings;
static struct error error;

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(services, sizeof services, "%s/services", folder);
    snprintf(password, sizeof password, "%s/password", folder);
    write_file(
        services,
        "tally-collector collector secret-of-collector\ntally-feed feed secret-of-the-feed\n",
        0600);
    write_file(password, "open sesame\nmore\n", 0600);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(services);
    unlink(password);
    return rmdir(folder);
}

/* With the services file, and one option more if it is not NULL. */
static int read_with(const char *option)
{
    char first[80], second[320] = "";
    char program[] = "tally-feed";
    char *argv[] = {program, first, second, NULL};
    snprintf(first, sizeof first, "--services-file=%s", services);
    if (option != NULL)
        snprintf(second, sizeof second, "%s", option);
    error.text[0] = '\0';
    return feed_settings_read(&settings, option == NULL ? 2 : 3, argv,
                              (char *const[]){(char *)(uintptr_t) "TALLY_CONFIG=", NULL}, &error);
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(read_with(NULL), 0);
    assert_string_equal(settings.links.user, "tally-feed");
    assert_string_equal(settings.secrets.mqtt, "secret-of-the-feed");
    assert_string_equal(settings.links.mqtt_host, "127.0.0.1");
    assert_int_equal(settings.links.mqtt_port, 1883);
    assert_int_equal(settings.links.redis_port, 6390);
    assert_string_equal(settings.secrets.redis, "");
    assert_string_equal(settings.http_address, "127.0.0.1");
    assert_int_equal(settings.http_port, 8080);
    assert_int_equal(settings.websocket_port, 9001);
    assert_int_equal(settings.publish_interval_ms, 250);
    assert_int_equal(settings.repeat_ms, 5000);
    assert_int_equal(settings.republish_rate, 2000);
    assert_int_equal(settings.probe_interval_ms, 5000);
    assert_int_equal(settings.max_articles, 1000000);
    assert_int_equal(settings.log_level, LOG_LEVEL_INFO);
    feed_settings_wipe(&settings);
    assert_string_equal(settings.secrets.mqtt, "");
}

static void good_values(void **state)
{
    char option[300];
    (void)state;
    assert_int_equal(read_with("--topic-prefix=news/de/"), 0);
    assert_int_equal(read_with("--websocket-url=wss://mqtt.example.org:443/mqtt?x=1"), 0);
    assert_int_equal(read_with("--websocket-url=ws://[::1]:9001"), 0);
    assert_int_equal(read_with("--probe-interval-ms=0"), 0);
    assert_int_equal(settings.probe_interval_ms, 0);
    assert_int_equal(read_with("--probe-interval-ms=500"), 0);
    assert_int_equal(settings.probe_interval_ms, 500);
    assert_int_equal(read_with("--publish-interval-ms=60000"), 0);
    assert_int_equal(settings.probe_interval_ms, 120000);
    assert_int_equal(read_with("--log-level=debug"), 0);
    assert_int_equal(settings.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(settings.log_format, LOG_FORMAT_LOGFMT);
    assert_int_equal(read_with("--log-format=json"), 0);
    assert_int_equal(settings.log_format, LOG_FORMAT_JSON);
    snprintf(option, sizeof option, "--redis-password-file=%s", password);
    assert_int_equal(read_with(option), 0);
    assert_string_equal(settings.secrets.redis, "open sesame");
}

static void bad_values_name_their_option(void **state)
{
    static const struct {
        const char *option, *name;
    } bad[] = {
        {"--topic-prefix=news", "topic_prefix"},
        {"--topic-prefix=/", "topic_prefix"},
        {"--topic-prefix=a//", "topic_prefix"},
        {"--topic-prefix=+/", "topic_prefix"},
        {"--topic-prefix=$SYS/", "topic_prefix"},
        {"--websocket-url=http://example.org", "websocket_url"},
        {"--websocket-url=wss://", "websocket_url"},
        {"--websocket-url=wss:///x", "websocket_url"},
        {"--websocket-url=wss://a'b", "websocket_url"},
        {"--websocket-url=wss://a;b", "websocket_url"},
        {"--websocket-url=wss://a b", "websocket_url"},
        {"--probe-interval-ms=499", "probe_interval_ms"},
        {"--log-level=loud", "log_level"},
        {"--log-format=xml", "log_format"},
        {"--publish-interval-ms=9", "publish_interval_ms"},
        {"--publish-interval-ms=60001", "publish_interval_ms"},
        {"--http-port=0", "http_port"},
        {"--user=tally-collector", "user"},
        {"--user=nobody", "user"},
        {"--redis-password-file=/nonexistent/file", "redis_password_file"},
        {"--redis-password-file=/tmp", "redis_password_file"},
        {"--nonsense=1", "nonsense"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_with(bad[i].option), -1);
        if (strstr(error.text, bad[i].name) == NULL || strchr(error.text, '\n') != NULL)
            print_error("%s: %s\n", bad[i].option, error.text);
        assert_non_null(strstr(error.text, bad[i].name));
        assert_null(strchr(error.text, '\n'));
    }
}

static void secrets_stay_secret(void **state)
{
    char option[300];
    (void)state;
    chmod(services, 0604);
    assert_int_equal(read_with(NULL), -1);
    assert_non_null(strstr(error.text, "services_file"));
    chmod(services, 0600);
    chmod(password, 0644);
    snprintf(option, sizeof option, "--redis-password-file=%s", password);
    assert_int_equal(read_with(option), -1);
    assert_non_null(strstr(error.text, "redis_password_file"));
    assert_null(strstr(error.text, "sesame"));
    write_file(password, "\n", 0600);
    assert_int_equal(read_with(option), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(good_values),
        cmocka_unit_test(bad_values_name_their_option),
        cmocka_unit_test(secrets_stay_secret),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
