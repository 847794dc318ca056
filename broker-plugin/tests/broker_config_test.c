#include "unit.h"

#include "broker_config.h"
#include "temp.h"

static struct broker_config config;
static struct error error;

static int read_named(const char *path)
{
    char cmdline[512];
    int n = snprintf(cmdline, sizeof cmdline, "/usr/sbin/mosquitto%c-d%c-c%c%s", 0, 0, 0, path);
    return broker_config_read(&config, cmdline, (size_t)n + 1, &error);
}

static int read_text(const char *text)
{
    temp_write("m.conf", text, strlen(text), 0600);
    return read_named(temp_path("m.conf"));
}

struct said {
    int fatal, warnings;
    char text[2048];
};

static void collect(void *user, bool fatal, const char *sentence)
{
    struct said *said = user;
    if (fatal)
        said->fatal++;
    else
        said->warnings++;
    size_t used = strlen(said->text);
    snprintf(said->text + used, sizeof said->text - used, "%s\n", sentence);
}

static struct said judge(bool auto_id_may_react)
{
    struct said said = {0};
    int fatal = broker_config_judge(&config, auto_id_may_react, collect, &said);
    assert_int_equal(fatal, said.fatal);
    return said;
}

static void has_nothing_to_say_of_a_good_one(void **state)
{
    (void)state;
    assert_int_equal(read_text("# per_listener_settings true\n"
                               "per_listener_settings false\n"
                               "\n"
                               "persistence false\n"
                               "persistent_client_expiration 1d\n"
                               "auto_id_prefix auto-\n"
                               "max_queued_messages 100000\n"
                               "message_size_limit 65536\n"
                               "retain_available true\n"
                               "listener 1883 127.0.0.1\n"
                               "plugin_opt_spool /x"),
                     0);
    struct said said = judge(false);
    assert_string_equal(said.text, "");
}

/* A line of configuration, and the word by which the finding names it. F: fatal, W: a warning, "":
 * fine. */
static void finds_what_breaks_the_promise(void **state)
{
    static const char *const rows[][3] = {
        {"per_listener_settings true", "F", "per_listener_settings"},
        {"per_listener_settings 1", "F", "per_listener_settings"},
        {"  per_listener_settings   true", "F", "per_listener_settings"},
        {"per_listener_settings true ", "F", "per_listener_settings"},
        {"per_listener_settings true\r", "F", "per_listener_settings"},
        {"per_listener_settings false", "", ""},
        {"per_listener_settings 0", "", ""},
        {"#per_listener_settings true", "", ""},
        {"xper_listener_settings true", "", ""},
        {"auto_id_prefix bot-", "F", "bot-"},
        {"auto_id_prefix auto-x", "", ""},
        {"listener_auto_id_prefix x", "F", "auto_id_prefix"},
        {"retain_available false", "F", "retain_available"},
        {"persistence true", "W", "persistence"},
        {"persistence false", "", ""},
        {"queue_qos0_messages true", "W", "queue_qos0_messages"},
        {"max_queued_messages 0", "W", "max_queued_messages"},
        {"message_size_limit 511", "W", "message_size_limit"},
        {"message_size_limit 512", "", ""},
        {"message_size_limit 0", "", ""},
        {"mount_point x/", "W", "mount_point"},
        {"persistent_client_expiration 0", "W", "persistent_client_expiration"},
        {"persistent_client_expiration 1", "W", "persistent_client_expiration"},
        {"persistent_client_expiration x", "W", "persistent_client_expiration"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "persistent_client_expiration 1h\n%s", rows[i][0]);
        require(read_text(text) == 0, "%s: %s", rows[i][0], error.text);
        struct said said = judge(false);
        require(said.fatal == (rows[i][1][0] == 'F'), "%s: %s", rows[i][0], said.text);
        require(said.warnings == (rows[i][1][0] == 'W'), "%s: %s", rows[i][0], said.text);
        require(strstr(said.text, rows[i][2]) != NULL, "%s: %s", rows[i][0], said.text);
    }
}

static void reads_when_sessions_expire(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } rows[] = {
        {"persistent_client_expiration 1h", 3600},     {"persistent_client_expiration 2d", 172800},
        {"persistent_client_expiration 1w", 604800},   {"persistent_client_expiration 1m", 2592000},
        {"persistent_client_expiration 1y", 31536000}, {"persistence false", 0}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_text(rows[i].text), 0);
        assert_int_equal(config.expiration_s, rows[i].seconds);
        assert_int_equal(config.no_expiration, rows[i].seconds == 0);
    }
}

static void takes_the_last_of_several(void **state)
{
    (void)state;
    assert_int_equal(read_text("persistence true\npersistence false\n"), 0);
    assert_false(config.persistence);
}

static void allows_any_prefix_where_broker_made_ids_may_react(void **state)
{
    (void)state;
    assert_int_equal(read_text("auto_id_prefix bot-"), 0);
    assert_int_equal(judge(true).fatal, 0);
}

static void reads_what_is_included(void **state)
{
    static const char setting[] = "per_listener_settings true\n";
    char text[256];
    (void)state;
    assert_int_equal(mkdir(temp_path("conf.d"), 0700), 0);
    snprintf(text, sizeof text, "include_dir %s\n", temp_path("conf.d"));
    temp_write("conf.d/b.txt", setting, sizeof setting - 1, 0600);
    temp_write("conf.d/.conf", setting, sizeof setting - 1, 0600); /* too short for the broker */
    assert_int_equal(read_text(text), 0);
    assert_false(config.per_listener_settings);
    temp_write("conf.d/a.conf", setting, sizeof setting - 1, 0600);
    assert_int_equal(read_text(text), 0);
    assert_true(config.per_listener_settings);
}

static void ignores_an_include_in_what_is_included(void **state)
{
    char text[256];
    (void)state;
    assert_int_equal(mkdir(temp_path("loop.d"), 0700), 0);
    snprintf(text, sizeof text, "include_dir %s\npersistence true\n", temp_path("loop.d"));
    temp_write("loop.d/a.conf", text, strlen(text), 0600);
    assert_int_equal(read_text(text), 0);
    assert_true(config.persistence);
}

static void reads_every_file_of_the_command_line(void **state)
{
    static const char one[] = "persistence true\n", other[] = "mount_point x\n";
    char cmdline[512];
    (void)state;
    temp_write("1.conf", one, sizeof one - 1, 0600);
    temp_write("2.conf", other, sizeof other - 1, 0600);
    int n = snprintf(cmdline, sizeof cmdline, "mosquitto%c-c%c%s%c--config-file%c%s", 0, 0,
                     temp_path("1.conf"), 0, 0, temp_path("2.conf"));
    assert_int_equal(broker_config_read(&config, cmdline, (size_t)n + 1, &error), 0);
    assert_true(config.persistence);
    assert_true(config.mount_point);
}

static void says_what_it_cannot_read(void **state)
{
    static const char bare[] = "mosquitto\0-v";
    (void)state;
    assert_int_equal(read_named(temp_path("absent.conf")), -1);
    assert_non_null(strstr(error.text, "absent.conf"));
    assert_int_equal(read_text("include_dir /nonexistent-folder"), -1);
    assert_non_null(strstr(error.text, "/nonexistent-folder"));
    assert_int_equal(broker_config_read(&config, bare, sizeof bare, &error), -1);
    assert_non_null(strstr(error.text, "names no configuration file"));
    assert_int_equal(broker_config_read(&config, "", 0, &error), -1);
    /* cut before its last argument's end */
    assert_int_equal(broker_config_read(&config, "mosquitto", 9, &error), -1);
}

static void reads_its_own_command_line(void **state)
{
    (void)state;
    /* This test was started without -c. */
    assert_int_equal(broker_config_read_own(&config, &error), -1);
    assert_non_null(strstr(error.text, "names no configuration file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_nothing_to_say_of_a_good_one),
        cmocka_unit_test(finds_what_breaks_the_promise),
        cmocka_unit_test(reads_when_sessions_expire),
        cmocka_unit_test(takes_the_last_of_several),
        cmocka_unit_test(allows_any_prefix_where_broker_made_ids_may_react),
        cmocka_unit_test(reads_what_is_included),
        cmocka_unit_test(ignores_an_include_in_what_is_included),
        cmocka_unit_test(reads_every_file_of_the_command_line),
        cmocka_unit_test(says_what_it_cannot_read),
        cmocka_unit_test(reads_its_own_command_line),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
