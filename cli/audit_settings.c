/* The table of the options, and the checks that it cannot express. */
#include "audit_settings.h"

#include "core/config.h"

#define TEXT(field, required, initial, accepts, help)                                              \
    {                                                                                              \
#field, OPTION_TEXT, offsetof(struct audit_settings, field), required,                     \
            OPTION_TEXT_MAX_BYTES, initial, accepts, help                                          \
    }
#define PORT(field, initial, help)                                                                 \
    {                                                                                              \
#field, OPTION_NUMBER, offsetof(struct audit_settings, field), 1, 65535, initial,          \
            "1 to 65535", help                                                                     \
    }

const struct option audit_settings_table[] = {
    CONFIG_OPTION(offsetof(struct audit_settings, config)),
    TEXT(spool, 1, NULL, "a folder", "the spool of this edge; it is only read"),
    LINKS_OPTIONS(offsetof(struct audit_settings, links), "operator"),
    TEXT(http_host, 0, "127.0.0.1", "a name or address", "the feed's pages"),
    PORT(http_port, "8080", "the feed's port"),
    TEXT(articles, 0, "all", ARTICLE_LIST_ACCEPTS, "articles to audit"),
    {"json", OPTION_SWITCH, offsetof(struct audit_settings, json), 0, 0, "off", "on or off",
     "the report as one JSON object"},
};
const size_t audit_settings_count = sizeof audit_settings_table / sizeof audit_settings_table[0];

int audit_settings_parse(struct audit_settings *settings, int argc, char **argv,
                         char *const *environment, int *help, struct error *error)
{
    struct config *config = config_new(audit_settings_table, audit_settings_count, NULL, argc, argv,
                                       environment, error);
    if (config == NULL)
        return -1;
    argc = config_argc(config);
    argv = config_argv(config);
    int rc =
        option_parse(audit_settings_table, audit_settings_count, settings, argc, argv, help, error);
    if (rc == 0)
        rc = links_check(&settings->links, argc, argv, error);
    if (rc == 0)
        rc = article_list_parse(&settings->list, settings->articles, error);
    config_free(config);
    return rc;
}
