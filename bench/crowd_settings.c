/* The table of the options of tally-crowd, and the checks that it cannot express. */
#include "crowd_settings.h"

#include "core/error.h"
#include "total.h"

#include <string.h>

#define SEED_MAX ((UINT64_C(1) << 48) - 1)

#define TEXT(name, least, initial, accepts, help)                                                  \
    {                                                                                              \
#name, OPTION_TEXT, offsetof(struct crowd_settings, name), least, OPTION_TEXT_MAX_BYTES,   \
            initial, accepts, help                                                                 \
    }
#define NUMBER(name, least, most, initial, accepts, help)                                          \
    {                                                                                              \
#name, OPTION_NUMBER, offsetof(struct crowd_settings, name), least, most, initial,         \
            accepts, help                                                                          \
    }
#define SWITCH(name, help)                                                                         \
    {                                                                                              \
#name, OPTION_SWITCH, offsetof(struct crowd_settings, name), 0, 0, "off", "on or off",     \
            help                                                                                   \
    }

static const struct option OPTIONS[] = {
    TEXT(host, 1, "127.0.0.1", "a name or address", "the broker"),
    NUMBER(port, 1, 65535, "1883", "1 to 65535", "its port: TCP, or with websocket WebSocket"),
    SWITCH(websocket, "all connections go over WebSocket"),
    TEXT(protocol, 1, "5", "3.1.1 or 5", "version of MQTT"),
    NUMBER(connections, 1, 20000, "100", "1 to 20000", "subscribers"),
    TEXT(filter, 1, "totals/bench/post-1000", "a topic without wildcards",
         "what each subscribes to, at QoS 0"),
    TEXT(reactions, 1, "reactions/bench/post-1000", "a topic without wildcards",
         "where probes and react publish"),
    TEXT(kind, 1, "wow", "a kind that no one else uses there", "what they publish"),
    NUMBER(publish, 0, 1000000, "0", "0 to 1000000", "task: totals to publish itself"),
    NUMBER(window, 1, 1000, "16", "1 to 1000",
           "totals that not all subscribers have, at most, with publish"),
    NUMBER(probes, 0, 4000, "0", "0 to 4000",
           "task: reactions, each of another reader, whose way into a total is timed"),
    NUMBER(pause_ms, 1, 60000, "300", "1 to 60000",
           "from a probe to the next, at least; at most it is twice as long, at random"),
    SWITCH(sequential, "the pause begins only when every subscriber has the probe"),
    NUMBER(nap_us, 0, 100000, "0", "0 to 100000",
           "between two looks at what came: a subscriber that is woken for each is the costliest"),
    SWITCH(react, "task: each subscriber reacts once"),
    TEXT(username, 0, "", "empty, or a service's user name", "user name for publish"),
    TEXT(password_file, 0, "", "empty, or a file", "the password is its first line"),
    NUMBER(deliveries, 0, 1000000000, "0", "0 to 1000000000", "ends after this many; 0: never"),
    NUMBER(seconds, 1, 3600, "60", "1 to 3600", "ends after this long at the latest"),
    NUMBER(seed, 0, SEED_MAX, "1", "0 to 281474976710655",
           "the same seed gives the same pauses; readers of another are others"),
    SWITCH(hold, "says ready once all are subscribed, and does what its input says: go, or look"),
};
#define OPTIONS_N (sizeof OPTIONS / sizeof OPTIONS[0])

static int check_topic(const char *option, const char *topic, struct error *error)
{
    return strpbrk(topic, "+#") == NULL
               ? 0
               : error_set(error, "option %s: %.80s is not a topic without wildcards", option,
                           topic);
}

static int crowd_settings_check(struct crowd_settings *settings, struct error *error)
{
    bool named = settings->username[0] != '\0';
    if (checked_protocol(settings->protocol, &settings->version, error) != 0 ||
        check_topic("filter", settings->filter, error) != 0 ||
        check_topic("reactions", settings->reactions, error) != 0)
        return -1;
    if (strlen(settings->kind) > TOTAL_KIND_MAX_BYTES)
        return error_set(error, "option kind: %.60s is not a kind", settings->kind);
    if ((settings->publish > 0) + (settings->probes > 0) + settings->react > 1)
        return error_set(error, "options publish, probes and react: one task at most");
    if (named != (settings->password_file[0] != '\0') || (named && settings->publish == 0))
        return error_set(error,
                         "options username and password_file: both are needed, or neither, and "
                         "only with publish");
    if (named && checked_password(settings->password_file, settings->password, error) != 0)
        return -1;
    return checked_connections(settings->connections + settings->probes + (settings->publish > 0),
                               error);
}

int crowd_settings_parse(struct crowd_settings *settings, int argc, char **argv, int *help,
                         struct error *error)
{
    memset(settings, 0, sizeof *settings);
    int parsed = option_parse(OPTIONS, OPTIONS_N, settings, argc, argv, help, error);
    return parsed == 0 ? crowd_settings_check(settings, error) : parsed;
}

void crowd_settings_print(void *out)
{
    option_print(OPTIONS, OPTIONS_N, out);
}
