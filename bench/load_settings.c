/* The table of the options of tally-load, and the checks that it cannot express. */
#include "load_settings.h"

#include "choice.h"
#include "core/error.h"
#include "pace.h"

#include <string.h>

#define PREFIX_MAX_BYTES 64
#define SEED_MAX ((UINT64_C(1) << 48) - 1) /* it is part of readers' names */

#define TEXT(name, least, initial, accepts, help)                                                  \
    {                                                                                              \
#name, OPTION_TEXT, offsetof(struct load_settings, name), least, OPTION_TEXT_MAX_BYTES,    \
            initial, accepts, help                                                                 \
    }
#define NUMBER(name, least, most, initial, accepts, help)                                          \
    {                                                                                              \
#name, OPTION_NUMBER, offsetof(struct load_settings, name), least, most, initial, accepts, \
            help                                                                                   \
    }
#define SWITCH(name, help)                                                                         \
    {                                                                                              \
#name, OPTION_SWITCH, offsetof(struct load_settings, name), 0, 0, "off", "on or off", help \
    }

static const struct option OPTIONS[] = {
    TEXT(host, 1, "127.0.0.1", "a name or address", "the broker"),
    NUMBER(port, 1, 65535, "1883", "1 to 65535", "its port, TCP"),
    TEXT(protocol, 1, "5", "3.1.1 or 5", "version of MQTT"),
    NUMBER(qos, 0, 1, "1", "0 or 1", "quality of service of the reactions"),
    NUMBER(connections, 1, 20000, "100", "1 to 20000", "connections, open from the start"),
    NUMBER(window, 1, 1000, "20", "1 to 1000",
           "reactions of a connection that wait for their PUBACK at most, at QoS 1; less where the "
           "broker's Receive Maximum is"),
    NUMBER(burst, 1, 64, "16", "1 to 64",
           "reactions that a connection writes at once, at QoS 0 or at a rate"),
    NUMBER(rate, 0, PACE_MAX_RATE, "0", "0 to 1000000",
           "reactions a second, evenly by the clock; 0: as many as the broker takes"),
    NUMBER(reactions, 1, 1000000000, "100000", "1 to 1000000000", "reactions in all"),
    NUMBER(warmup, 0, 100000000, "0", "0 to 100000000",
           "reactions before, which the time does not count"),
    NUMBER(seconds, 1, 3600, "60", "1 to 3600", "stops sending after this long"),
    NUMBER(articles, 1, 1000000, "1", "1 to 1000000", "articles they are about"),
    TEXT(spread, 1, "even", "even or zipf", "how they spread over the articles"),
    NUMBER(kinds, 2, CHOICE_KINDS, "7", "2 to 7", "number of kinds to use"),
    NUMBER(changes, 0, 100, "0", "0 to 100", "percent that change an earlier reaction"),
    NUMBER(retractions, 0, 100, "0", "0 to 100", "percent that take an earlier reaction back"),
    NUMBER(readers, 0, 1000000000, "0", "0 to 1000000000",
           "different readers; 0: one for each connection, or with reader_in_payload one for each "
           "reaction"),
    SWITCH(reader_in_payload, "each reaction names its reader, as a gateway's may"),
    TEXT(username, 0, "", "empty, or a service's user name", "user name of all connections"),
    TEXT(password_file, 0, "", "empty, or a file", "the password is its first line"),
    TEXT(topic_prefix, 0, "", "empty, or levels that end with /, 64 bytes at most",
         "prefix of every topic"),
    NUMBER(seed, 0, SEED_MAX, "1", "0 to 281474976710655",
           "the same seed gives the same readers and reactions"),
    SWITCH(hold, "says ready once all are connected and warm, and begins at a line on its input"),
};
#define OPTIONS_N (sizeof OPTIONS / sizeof OPTIONS[0])

/* The options that a login needs, or rules out. */
static int check_readers(struct load_settings *settings, struct error *error)
{
    bool named = settings->username[0] != '\0';
    if (named != (settings->password_file[0] != '\0'))
        return error_set(error, "options username and password_file: both are needed, or neither");
    if (named != settings->reader_in_payload)
        return error_set(error,
                         "option reader_in_payload: on needs username and password_file, off "
                         "accepts neither");
    if (!named && settings->readers > settings->connections)
        return error_set(error,
                         "option readers: %llu is over connections (%llu): each connection is one "
                         "reader, but with reader_in_payload",
                         (unsigned long long)settings->readers,
                         (unsigned long long)settings->connections);
    return named ? checked_password(settings->password_file, settings->password, error) : 0;
}

static int load_settings_check(struct load_settings *settings, struct error *error)
{
    if (checked_protocol(settings->protocol, &settings->version, error) != 0)
        return -1;
    settings->zipf = strcmp(settings->spread, "zipf") == 0;
    if (!settings->zipf && strcmp(settings->spread, "even") != 0)
        return error_set(error, "option spread: %.60s is not even or zipf", settings->spread);
    if (settings->changes + settings->retractions > 100)
        return error_set(error,
                         "options changes and retractions: together they are over 100 percent");
    size_t prefix = strlen(settings->topic_prefix);
    if (prefix > PREFIX_MAX_BYTES || strpbrk(settings->topic_prefix, "+#") != NULL ||
        (prefix > 0 && settings->topic_prefix[prefix - 1] != '/'))
        return error_set(error,
                         "option topic_prefix: %.80s is not empty, or levels that end with /, 64 "
                         "bytes at most",
                         settings->topic_prefix);
    if (check_readers(settings, error) != 0)
        return -1;
    return checked_connections(settings->connections, error);
}

int load_settings_parse(struct load_settings *settings, int argc, char **argv, int *help,
                        struct error *error)
{
    memset(settings, 0, sizeof *settings);
    int parsed = option_parse(OPTIONS, OPTIONS_N, settings, argc, argv, help, error);
    return parsed == 0 ? load_settings_check(settings, error) : parsed;
}

void load_settings_print(void *out)
{
    option_print(OPTIONS, OPTIONS_N, out);
}
