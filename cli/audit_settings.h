/* The options of `tally audit`. Pure; any thread. */
#ifndef TALLY_CLI_AUDIT_SETTINGS_H
#define TALLY_CLI_AUDIT_SETTINGS_H

#include "daemon/links.h"

#include <stdbool.h>

#define AUDIT_LIST_MAX 128 /* articles in the option: it has 255 bytes */

struct audit_settings {
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    struct links links;
    char http_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t http_port;
    char articles[OPTION_TEXT_MAX_BYTES + 1];
    bool json;

    /* Of `articles`: 0, all. They point into a copy of it. */
    size_t listed;
    const char *list[AUDIT_LIST_MAX];
    char list_text[OPTION_TEXT_MAX_BYTES + 1];
};

extern const struct option audit_settings_table[];
extern const size_t audit_settings_count;

/* As option_parse. */
int audit_settings_parse(struct audit_settings *settings, int argc, char **argv, int *help,
                         char *error, size_t error_bytes);

#endif
