/* The table of options and the checks that a table cannot make. */
#include "settings.h"

#include "core/config.h"
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
    CONFIG_OPTION(offsetof(struct settings, config)),
    TEXT(spool, 1, NULL, "a folder", "the spool that the broker's plugin writes"),
    LINKS_OPTIONS(offsetof(struct settings, links), "tally-collector"),
    SWITCH(adopt, "off", "accept this store although the spool has applied to another, or to none"),
    TEXT(durability, 0, "aof", "aof, replicas or service",
         "what keeps Redis's data safe: its append-only file, its replicas, or a managed service"),
    NUMBER(batch_records, 1, 4000, "1000", "1 to 4000", "reactions in one script call at most"),
    NUMBER(in_flight, 1, 16, "4", "1 to 16", "script calls in flight for each shard at most"),
    NUMBER(audit_per_minute, 0, 600, "6", "0 to 600; 0 is off", "articles to audit a minute"),
    TEXT(log_level, 0, "info", "error, warning, info or debug", "what is logged"),
    TEXT(log_format, 0, "logfmt", "logfmt or json", "form of the log's lines"),
};
const size_t settings_count = sizeof settings_table / sizeof settings_table[0];

static int settings_durability(const char *text, enum node_durability *out)
{
    static const char *const names[] = {
        [NODE_AOF] = "aof", [NODE_REPLICAS] = "replicas", [NODE_SERVICE] = "service"};
    for (int i = NODE_AOF; i <= NODE_SERVICE; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum node_durability)i;
            return 0;
        }
    return -1;
}

static int settings_check(struct settings *settings, int argc, char **argv, struct error *error)
{
    if (start_log_level(settings->log_level, &settings->level) != 0)
        return error_set(error, "option log_level: %s is not error, warning, info or debug",
                         settings->log_level);
    if (start_log_format(settings->log_format, &settings->format) != 0)
        return error_set(error, "option log_format: %s is not logfmt or json",
                         settings->log_format);
    if (settings_durability(settings->durability, &settings->durability_level) != 0)
        return error_set(error, "option durability: %s is not aof, replicas or service",
                         settings->durability);
    return links_check(&settings->links, argc, argv, error);
}

int settings_parse(struct settings *settings, int argc, char **argv, char *const *environment,
                   int *help, struct error *error)
{
    struct config *config =
        config_new(settings_table, settings_count, "collector", argc, argv, environment, error);
    if (config == NULL)
        return -1;
    argc = config_argc(config);
    argv = config_argv(config);
    int rc = option_parse(settings_table, settings_count, settings, argc, argv, help, error);
    if (rc == 0)
        rc = settings_check(settings, argc, argv, error);
    config_free(config);
    return rc;
}
