/* What tally-crowd accepts on its command line, checked as a whole. Only main calls it. */
#ifndef TALLY_BENCH_CROWD_SETTINGS_H
#define TALLY_BENCH_CROWD_SETTINGS_H

#include "checked.h"
#include "core/error.h"
#include "core/option.h"

#include <stdbool.h>

struct crowd_settings {
    char host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t port;
    bool websocket;
    char protocol[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t connections;
    char filter[OPTION_TEXT_MAX_BYTES + 1];
    char reactions[OPTION_TEXT_MAX_BYTES + 1];
    char kind[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t publish, window, probes, pause_ms, nap_us;
    bool sequential, react;
    char username[OPTION_TEXT_MAX_BYTES + 1];
    char password_file[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t deliveries, seconds, seed;
    bool hold;

    /* Made of them. */
    enum wire_version version;
    char password[CHECKED_PASSWORD_MAX_BYTES + 1];
};

/* Returns 0, 1 where --help or --version was asked for (*help is 'h' or 'v'), or -1 with one line
 * in `error` that names the option and what it accepts. */
int crowd_settings_parse(struct crowd_settings *settings, int argc, char **argv, int *help,
                         struct error *error);

/* The table of options, for --help. */
void crowd_settings_print(void *out);

#endif
