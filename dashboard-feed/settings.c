#include "settings.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef TALLY_VERSION
#define TALLY_VERSION "unknown"
#endif

#define AT(field) offsetof(struct settings, field)
#define PORT 1, 65535

const struct option settings_table[] = {
    {"services_file", OPTION_TEXT, AT(services_file), 1, OPTION_TEXT_MAX_BYTES, NULL, "a file",
     "services file with the feed's own line (INTERFACES.md 3)"},
    {"user", OPTION_TEXT, AT(user), 1, OPTION_TEXT_MAX_BYTES, "tally-feed",
     "a username of the services file", "MQTT username, and client id"},
    {"mqtt_host", OPTION_TEXT, AT(mqtt_host), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "a name or address", "where the broker is"},
    {"mqtt_port", OPTION_NUMBER, AT(mqtt_port), PORT, "1883", "1 to 65535", "its MQTT port"},
    {"redis_host", OPTION_TEXT, AT(redis_host), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "a name, an address, or the path of a Unix socket", "where Redis is"},
    {"redis_port", OPTION_NUMBER, AT(redis_port), PORT, "6390", "1 to 65535", "its port"},
    {"redis_password_file", OPTION_TEXT, AT(redis_password_file), 0, 0, "",
     "a file that others cannot read, or empty", "file with Redis's password on its first line"},
    {"topic_prefix", OPTION_TEXT, AT(topic_prefix), 0, 0, "",
     "empty, or up to 64 letters, digits, _, - and / that end in /", "stands before every topic"},
    {"http_address", OPTION_TEXT, AT(http_address), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "an address of this machine", "where HTTP is served"},
    {"http_port", OPTION_NUMBER, AT(http_port), PORT, "8080", "1 to 65535",
     "port of pages, totals, metrics and health"},
    {"websocket_port", OPTION_NUMBER, AT(websocket_port), PORT, "9001", "1 to 65535",
     "the broker's WebSocket port, for the pages"},
    {"websocket_url", OPTION_TEXT, AT(websocket_url), 0, 0, "", "empty, or a ws:// or wss:// URL",
     "where the pages find the broker; empty: the page's host at "
     "websocket_port"},
    {"publish_interval_ms", OPTION_NUMBER, AT(publish_interval_ms), 10, 60000, "250", "10 to 60000",
     "least time between two totals of an article, ms"},
    {"repeat_ms", OPTION_NUMBER, AT(repeat_ms), 100, 3600000, "5000", "100 to 3600000",
     "a total is sent again so long after its last change, ms"},
    {"republish_rate", OPTION_NUMBER, AT(republish_rate), 1, 1000000, "2000", "1 to 1000000",
     "totals a second, when a broker lacks them"},
    {"max_articles", OPTION_NUMBER, AT(max_articles), 1, 100000000, "1000000", "1 to 100000000",
     "articles whose publication is remembered"},
    {"log_level", OPTION_TEXT, AT(log_level_name), 1, OPTION_TEXT_MAX_BYTES, "info",
     "error, warning, info or debug", "lines below this are not written"},
};

const size_t settings_options = sizeof settings_table / sizeof settings_table[0];

static bool is_one_of(const char *text, const char *more)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (; *text != '\0'; text++)
        if (strchr(letters, *text) == NULL && strchr(more, *text) == NULL)
            return false;
    return true;
}

static bool prefix_valid(const char *prefix)
{
    size_t bytes = strlen(prefix);
    return bytes == 0 || (bytes <= 64 && prefix[0] != '/' && prefix[bytes - 1] == '/' &&
                          strstr(prefix, "//") == NULL && is_one_of(prefix, "_-/"));
}

/* It is written into scripts and headers: nothing that could end a string there. */
static bool url_valid(const char *url)
{
    const char *rest = strncmp(url, "ws://", 5) == 0    ? url + 5
                       : strncmp(url, "wss://", 6) == 0 ? url + 6
                                                        : NULL;
    return url[0] == '\0' ||
           (rest != NULL && rest[0] != '\0' && rest[0] != '/' && is_one_of(rest, ":/.-_~%?=&[]"));
}

static int find_level(enum log_level *level, const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -1;
}

static int wrong(const char *name, const char *value, char *error, size_t error_bytes)
{
    for (size_t i = 0; i < settings_options; i++)
        if (strcmp(settings_table[i].name, name) == 0)
            return error_say(error, error_bytes, "option %s: %.120s is not %s", name, value,
                             settings_table[i].accepts);
    return -1;
}

static int read_service(struct settings *settings, char *error, size_t error_bytes)
{
    struct services services;
    char why[256];
    int result = -1;
    if (services_load(&services, settings->services_file, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option services_file: %s", why);
    const struct service *service = services_find(&services, settings->user);
    if (service == NULL)
        error_say(error, error_bytes, "option user: %.120s stands in no line of %s", settings->user,
                  settings->services_file);
    else if (service->role != ROLE_FEED)
        error_say(error, error_bytes, "option user: %.120s has not the role feed in %s",
                  settings->user, settings->services_file);
    else {
        memcpy(settings->password, service->secret, sizeof settings->password);
        result = 0;
    }
    explicit_bzero(&services, sizeof services);
    return result;
}

static int read_redis_password(struct settings *settings, char *error, size_t error_bytes)
{
    const char *path = settings->redis_password_file;
    struct stat status;
    if (path[0] == '\0')
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, error_bytes, "option redis_password_file: %s: %s", path,
                         strerror(errno));
    ssize_t bytes = -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 007) == 0)
        bytes = read(fd, settings->redis_password, sizeof settings->redis_password - 1);
    close(fd);
    if (bytes < 0)
        return wrong("redis_password_file", path, error, error_bytes);
    settings->redis_password[bytes] = '\0';
    settings->redis_password[strcspn(settings->redis_password, "\r\n")] = '\0';
    if (settings->redis_password[0] == '\0')
        return error_say(error, error_bytes,
                         "option redis_password_file: %s has no password on its first line", path);
    return 0;
}

int settings_read(struct settings *settings, int argc, char **argv, char *error, size_t error_bytes)
{
    int help;
    memset(settings, 0, sizeof *settings);
    int result = option_parse(settings_table, settings_options, settings, argc, argv, &help, error,
                              error_bytes);
    if (result == 1 && help == 'v') {
        printf("tally-feed %s\n", TALLY_VERSION);
        return 1;
    }
    if (result == 1) {
        printf("tally-feed publishes Tally's totals and serves its pages.\n"
               "option | default | accepts | what it is\n");
        option_print(settings_table, settings_options, stdout);
        return 1;
    }
    if (result != 0)
        return -1;
    if (!prefix_valid(settings->topic_prefix))
        return wrong("topic_prefix", settings->topic_prefix, error, error_bytes);
    if (!url_valid(settings->websocket_url))
        return wrong("websocket_url", settings->websocket_url, error, error_bytes);
    if (find_level(&settings->log_level, settings->log_level_name) != 0)
        return wrong("log_level", settings->log_level_name, error, error_bytes);
    if (read_service(settings, error, error_bytes) != 0 ||
        read_redis_password(settings, error, error_bytes) != 0)
        return -1;
    return 0;
}

void settings_wipe(struct settings *settings)
{
    explicit_bzero(settings->password, sizeof settings->password);
    explicit_bzero(settings->redis_password, sizeof settings->redis_password);
}
