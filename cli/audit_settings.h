/* The options of `tally audit`. Pure; any thread. */
#ifndef TALLY_CLI_AUDIT_SETTINGS_H
#define TALLY_CLI_AUDIT_SETTINGS_H

#include "article_list.h"
#include "core/error.h"
#include "daemon/links.h"

#include <stdbool.h>

struct audit_settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    struct links links;
    char http_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t http_port;
    char articles[OPTION_TEXT_MAX_BYTES + 1];
    bool json;

    struct article_list list; /* of `articles` */
};

extern const struct option audit_settings_table[];
extern const size_t audit_settings_count;

/* As option_parse, behind the configuration file's [common] and the environment (core/config.h). */
int audit_settings_parse(struct audit_settings *settings, int argc, char **argv,
                         char *const *environment, int *help, struct error *error);

#endif
