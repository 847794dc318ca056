#include "settings.h"

#include "core/article.h"
#include "core/error.h"
#include "daemon/start.h"

#include <string.h>

#define TEXT(field, required, initial, accepts, help)                                              \
    {                                                                                              \
#field, OPTION_TEXT, offsetof(struct settings, field), required, OPTION_TEXT_MAX_BYTES,    \
            initial, accepts, help                                                                 \
    }
#define NUMBER(field, min, max, initial, accepts, help)                                            \
    {                                                                                              \
#field, OPTION_NUMBER, offsetof(struct settings, field), min, max, initial, accepts, help  \
    }
#define SWITCH(field, initial, help)                                                               \
    {                                                                                              \
#field, OPTION_SWITCH, offsetof(struct settings, field), 0, 0, initial, "on or off", help  \
    }

const struct option settings_table[] = {
    TEXT(spool, 1, NULL, "a folder", "the spool that the broker's plugin writes"),
    TEXT(services_file, 1, NULL, "a file of mode 0600 or 0640",
         "where this program's secret stands"),
    TEXT(user, 0, "tally-collector", "a name in the services file",
         "as whom to connect to the broker"),
    TEXT(mqtt_host, 0, "127.0.0.1", "a name or address", "the broker"),
    NUMBER(mqtt_port, 1, 65535, "1883", "1 to 65535", "the broker's port"),
    TEXT(redis_host, 0, "127.0.0.1", "a name, an address, or a socket's path", "Redis"),
    NUMBER(redis_port, 1, 65535, "6390", "1 to 65535", "Redis's port"),
    TEXT(redis_password_file, 0, "", "a file that others cannot read, or empty",
         "Redis's password is its first line"),
    TEXT(topic_prefix, 0, "", ARTICLE_PREFIX_ACCEPTS, "stands before every topic"),
    SWITCH(
        adopt, "off",
        "count into this store from now on, though the spool has applied to another, or into none"),
    SWITCH(volatile_redis, "off", "accept a Redis without an append-only file, or that evicts"),
    NUMBER(batch_records, 1, 4000, "1000", "1 to 4000", "most reactions a script call applies"),
    NUMBER(in_flight, 1, 16, "4", "1 to 16", "most script calls under way a shard"),
    NUMBER(audit_per_minute, 0, 600, "6", "0 to 600; 0 is off",
           "articles whose registers are counted again"),
    TEXT(log_level, 0, "info", "error, warning, info or debug", "what is logged"),
};
const size_t settings_count = sizeof settings_table / sizeof settings_table[0];

int settings_parse(struct settings *settings, int argc, char **argv, int *help, char *error,
                   size_t error_bytes)
{
    int rc = option_parse(settings_table, settings_count, settings, argc, argv, help, error,
                          error_bytes);
    if (rc == 0 && start_log_level(settings->log_level, &settings->level) != 0)
        rc = error_say(error, error_bytes,
                       "option log_level: %s is not error, warning, info or debug",
                       settings->log_level);
    if (rc == 0 && !article_prefix_valid(settings->topic_prefix))
        rc = error_say(error, error_bytes, "option topic_prefix: %s is not %s",
                       settings->topic_prefix, ARTICLE_PREFIX_ACCEPTS);
    return rc;
}
