/* What tally-load accepts on its command line, checked as a whole. Only main calls it. */
#ifndef TALLY_BENCH_LOAD_SETTINGS_H
#define TALLY_BENCH_LOAD_SETTINGS_H

#include "checked.h"
#include "core/error.h"
#include "core/option.h"

#include <stdbool.h>

struct load_settings {
    char host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t port;
    char protocol[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t qos, connections, window, burst, rate;
    uint64_t reactions, warmup, seconds;
    uint64_t articles;
    char spread[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t kinds, changes, retractions;
    uint64_t readers;
    bool reader_in_payload;
    char username[OPTION_TEXT_MAX_BYTES + 1];
    char password_file[OPTION_TEXT_MAX_BYTES + 1];
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t seed;
    bool hold;

    /* Made of them. */
    enum wire_version version;
    bool zipf;
    char password[CHECKED_PASSWORD_MAX_BYTES + 1];
};

/* Returns 0, 1 where --help or --version was asked for (*help is 'h' or 'v'), or -1 with one line
 * in `error` that names the option and what it accepts. */
int load_settings_parse(struct load_settings *settings, int argc, char **argv, int *help,
                        struct error *error);

/* The table of options, for --help. */
void load_settings_print(void *out);

#endif
