/* The table of the options, and the checks that it cannot express. */
#include "feed_settings.h"

#include "core/config.h"
#include "core/error.h"
#include "daemon/start.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#ifndef TALLY_VERSION
#define TALLY_VERSION "unknown"
#endif

#define AT(field) offsetof(struct feed_settings, field)
#define PORT 1, 65535
#define PROBE_LEAST_MS 500

const struct option feed_settings_table[] = {
    CONFIG_OPTION(AT(config)),
    LINKS_OPTIONS(AT(links), "tally-feed"),
    {"http_address", OPTION_TEXT, AT(http_address), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "an address of this machine", "where HTTP is served"},
    {"http_port", OPTION_NUMBER, AT(http_port), PORT, "8080", "1 to 65535",
     "port of pages, totals, metrics and health"},
    {"http_rate", OPTION_NUMBER, AT(http_rate), 1, 50000, "200", "1 to 50000",
     "HTTP requests a second from one address; more of them wait"},
    {"trusted_proxies", OPTION_TEXT, AT(trusted_proxies), 0, OPTION_TEXT_MAX_BYTES, "127.0.0.1,::1",
     "empty, or 1 to 16 addresses or networks (10.0.0.0/8) separated by commas",
     "addresses shared by many readers: exempt from http_rate"},
    {"websocket_port", OPTION_NUMBER, AT(websocket_port), PORT, "9001", "1 to 65535",
     "the broker's WebSocket port, for the pages"},
    {"websocket_url", OPTION_TEXT, AT(websocket_url), 0, 0, "", "empty, or a ws:// or wss:// URL",
     "where the pages find the broker; empty: the page's host at "
     "websocket_port"},
    {"publish_interval_ms", OPTION_NUMBER, AT(publish_interval_ms), 10, 60000, "250", "10 to 60000",
     "least time between two totals of an article, ms"},
    {"publish_rate", OPTION_NUMBER, AT(publish_rate), 1, 1000000, "5000", "1 to 1000000",
     "totals a second at most; others wait, and go out with their values of that time"},
    {"repeat_ms", OPTION_NUMBER, AT(repeat_ms), 100, 3600000, "5000", "100 to 3600000",
     "a total is repeated this long after its last change, ms"},
    {"republish_rate", OPTION_NUMBER, AT(republish_rate), 1, 1000000, "2000", "1 to 1000000",
     "totals a second, when a broker lacks them"},
    {"max_articles", OPTION_NUMBER, AT(max_articles), 1, 100000000, "1000000", "1 to 100000000",
     "articles whose publication is remembered"},
    {"max_states", OPTION_NUMBER, AT(max_states), 1, 1000000, "100000", "1 to 1000000",
     "articles with a state at most; others are neither stored nor published"},
    {"forgotten_s", OPTION_NUMBER, AT(forgotten_s), 1, 604800, "14400", "1 to 604800",
     "seconds that a forgotten article keeps its registers"},
    {"probe_interval_ms", OPTION_NUMBER, AT(probe_interval_ms), 0, 3600000, "5000",
     "0, or 500 to 3600000",
     "time between two probes, ms; at least twice publish_interval_ms; 0: none"},
    {"log_level", OPTION_TEXT, AT(log_level_name), 1, OPTION_TEXT_MAX_BYTES, "info",
     "error, warning, info or debug", "lowest level that is logged"},
    {"log_format", OPTION_TEXT, AT(log_format_name), 1, OPTION_TEXT_MAX_BYTES, "logfmt",
     "logfmt or json", "form of the log's lines"},
};

const size_t feed_settings_n = sizeof feed_settings_table / sizeof feed_settings_table[0];

static bool is_one_of(const char *text, const char *more)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (; *text != '\0'; text++)
        if (strchr(letters, *text) == NULL && strchr(more, *text) == NULL)
            return false;
    return true;
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

static int wrong(const char *name, const char *value, struct error *error)
{
    for (size_t i = 0; i < feed_settings_n; i++)
        if (strcmp(feed_settings_table[i].name, name) == 0)
            return error_set(error, "option %s: %.120s is not %s", name, value,
                             feed_settings_table[i].accepts);
    return -1;
}

static int feed_settings_check(struct feed_settings *settings, int argc, char **argv,
                               struct error *error)
{
    if (links_check(&settings->links, argc, argv, error) != 0)
        return -1;
    if (!url_valid(settings->websocket_url))
        return wrong("websocket_url", settings->websocket_url, error);
    if (settings->probe_interval_ms > 0 && settings->probe_interval_ms < PROBE_LEAST_MS) {
        char value[24];
        snprintf(value, sizeof value, "%u", (unsigned)settings->probe_interval_ms);
        return wrong("probe_interval_ms", value, error);
    }
    /* The next total of an article waits for publish_interval_ms. */
    if (settings->probe_interval_ms > 0 &&
        settings->probe_interval_ms < 2 * settings->publish_interval_ms)
        settings->probe_interval_ms = 2 * settings->publish_interval_ms;
    if (address_nets_parse(&settings->proxy_nets, settings->trusted_proxies) != 0)
        return wrong("trusted_proxies", settings->trusted_proxies, error);
    if (start_log_level(settings->log_level_name, &settings->log_level) != 0)
        return wrong("log_level", settings->log_level_name, error);
    if (start_log_format(settings->log_format_name, &settings->log_format) != 0)
        return wrong("log_format", settings->log_format_name, error);
    return 0;
}

int feed_settings_parse(struct feed_settings *settings, int argc, char **argv,
                        char *const *environment, int *help, struct error *error)
{
    memset(settings, 0, sizeof *settings);
    struct config *config =
        config_new(feed_settings_table, feed_settings_n, "feed", argc, argv, environment, error);
    if (config == NULL)
        return -1;
    argc = config_argc(config);
    argv = config_argv(config);
    int rc = option_parse(feed_settings_table, feed_settings_n, settings, argc, argv, help, error);
    if (rc == 0)
        rc = feed_settings_check(settings, argc, argv, error);
    config_free(config);
    return rc;
}

int feed_settings_read(struct feed_settings *settings, int argc, char **argv,
                       char *const *environment, struct error *error)
{
    int help = 0;
    int result = feed_settings_parse(settings, argc, argv, environment, &help, error);
    if (result == 0)
        result = links_secrets_load(&settings->secrets, &settings->links, ROLE_FEED, error);
    if (help == 'v')
        printf("tally-feed %s\n", TALLY_VERSION);
    if (help == 'h') {
        printf("tally-feed publishes Tally's totals and serves its pages.\n"
               "option | default | accepts | what it is\n");
        option_print(feed_settings_table, feed_settings_n, stdout);
    }
    return result;
}

void feed_settings_wipe(struct feed_settings *settings)
{
    links_wipe(&settings->secrets);
}
