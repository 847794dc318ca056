/* The table of options and the checks that a table cannot make. */
#include "collector_settings.h"

#include "core/config.h"
#include "core/error.h"
#include "daemon/start.h"

#include <string.h>

#define TEXT(field, required, initial, accepts, help)                                              \
    {                                                                                              \
#field, OPTION_TEXT, offsetof(struct collector_settings, field), required,                 \
            OPTION_TEXT_MAX_BYTES, initial, accepts, help                                          \
    }
#define NUMBER(field, min, max, initial, accepts, help)                                            \
    {                                                                                              \
#field, OPTION_NUMBER, offsetof(struct collector_settings, field), min, max, initial,      \
            accepts, help                                                                          \
    }
#define SWITCH(field, initial, help)                                                               \
    {                                                                                              \
#field, OPTION_SWITCH, offsetof(struct collector_settings, field), 0, 0, initial,          \
            "on or off", help                                                                      \
    }

const struct option collector_settings_table[] = {
    CONFIG_OPTION(offsetof(struct collector_settings, config)),
    TEXT(spool, 1, NULL, "a folder", "the spool that the broker's plugin writes"),
    LINKS_OPTIONS(offsetof(struct collector_settings, links), "tally-collector"),
    SWITCH(adopt, "off", "accept this store although the spool has applied to another, or to none"),
    TEXT(durability, 0, "aof", "aof, replicas or service",
         "what keeps Redis's data safe: its append-only file, its replicas, or a managed service"),
    TEXT(accelerator, 0, "auto", "auto or off",
         "whether to use the module tally-redis.so in Redis where it is loaded"),
    NUMBER(batch_records, 1, 4000, "1000", "1 to 4000", "reactions in one script call at most"),
    NUMBER(in_flight, 1, 16, "4", "1 to 16", "script calls in flight for each shard at most"),
    NUMBER(audit_per_minute, 0, 600, "6", "0 to 600; 0 is off", "articles to audit a minute"),
    TEXT(metrics_address, 1, "127.0.0.1", "a numeric address of this machine",
         "where /metrics, /livez and /readyz are served"),
    NUMBER(metrics_port, 0, 65535, "8081", "0 to 65535; 0 is off", "port of metrics and probes"),
    TEXT(log_level, 0, "info", "error, warning, info or debug", "what is logged"),
    TEXT(log_format, 0, "logfmt", "logfmt or json", "form of the log's lines"),
};
const size_t collector_settings_n =
    sizeof collector_settings_table / sizeof collector_settings_table[0];

static int collector_settings_durability(const char *text, enum node_durability *out)
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

static int collector_settings_check(struct collector_settings *settings, int argc, char **argv,
                                    struct error *error)
{
    if (start_log_level(settings->log_level, &settings->level) != 0)
        return error_set(error, "option log_level: %s is not error, warning, info or debug",
                         settings->log_level);
    if (start_log_format(settings->log_format, &settings->format) != 0)
        return error_set(error, "option log_format: %s is not logfmt or json",
                         settings->log_format);
    if (collector_settings_durability(settings->durability, &settings->durability_level) != 0)
        return error_set(error, "option durability: %s is not aof, replicas or service",
                         settings->durability);
    settings->accelerates = strcmp(settings->accelerator, "auto") == 0;
    if (!settings->accelerates && strcmp(settings->accelerator, "off") != 0)
        return error_set(error, "option accelerator: %s is not auto or off", settings->accelerator);
    return links_check(&settings->links, argc, argv, error);
}

int collector_settings_parse(struct collector_settings *settings, int argc, char **argv,
                             char *const *environment, int *help, struct error *error)
{
    struct config *config = config_new(collector_settings_table, collector_settings_n, "collector",
                                       argc, argv, environment, error);
    if (config == NULL)
        return -1;
    argc = config_argc(config);
    argv = config_argv(config);
    int rc = option_parse(collector_settings_table, collector_settings_n, settings, argc, argv,
                          help, error);
    if (rc == 0)
        rc = collector_settings_check(settings, argc, argv, error);
    config_free(config);
    return rc;
}
