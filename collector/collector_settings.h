/* The collector's options (--name). The table is the only list of them. */
#ifndef TALLY_COLLECTOR_COLLECTOR_SETTINGS_H
#define TALLY_COLLECTOR_COLLECTOR_SETTINGS_H

#include "node.h"

#include "core/error.h"
#include "core/option.h"
#include "daemon/links.h"
#include "daemon/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct collector_settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    struct links links;
    bool adopt;
    char durability[OPTION_TEXT_MAX_BYTES + 1];
    enum node_durability durability_level; /* out of durability */
    char accelerator[OPTION_TEXT_MAX_BYTES + 1];
    bool accelerates; /* out of accelerator */
    uint64_t batch_records;
    uint64_t in_flight;
    uint64_t audit_per_minute;
    char metrics_address[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t metrics_port; /* 0: off */
    char log_level[OPTION_TEXT_MAX_BYTES + 1];
    enum log_level level; /* out of log_level */
    char log_format[OPTION_TEXT_MAX_BYTES + 1];
    enum log_format format; /* out of log_format */
};

extern const struct option collector_settings_table[];
extern const size_t collector_settings_n;

/* Parses the command line, behind the configuration file's [common] and [collector] and the
 * environment (core/config.h; `environment` is like environ). Returns 0; 1 if help or version was
 * requested (*help is 'h' or 'v'); -1 with a sentence in `error`. */
int collector_settings_parse(struct collector_settings *settings, int argc, char **argv,
                             char *const *environment, int *help, struct error *error);

#endif
