/* The options of the commands that change or export what is stored: one table; each command uses
 * its rows of it. Pure; any thread. */
#ifndef TALLY_CLI_OPERATE_SETTINGS_H
#define TALLY_CLI_OPERATE_SETTINGS_H

#include "article_list.h"
#include "rows.h"

#include "core/article.h"
#include "core/error.h"
#include "daemon/links.h"

#include <stdbool.h>
#include <stdio.h>

enum operate_command {
    OPERATE_ARTICLE,
    OPERATE_RESET,
    OPERATE_ARCHIVE,
    OPERATE_EXPORT,
    OPERATE_IMPORT,
    OPERATE_ERASE,
    OPERATE_CHECK_EDGE,
    OPERATE_DRAIN,
    OPERATE_FORGET,
    OPERATE_WATCH,
    OPERATE_TOP
};

#define OPERATE_TEXT(field) char field[OPTION_TEXT_MAX_BYTES + 1]

struct operate_settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    enum operate_command command;
    char article[ARTICLE_MAX_BYTES +
                 1]; /* the word before the options; of article, reset, archive */
    struct links links;
    OPERATE_TEXT(state);
    OPERATE_TEXT(kinds);
    OPERATE_TEXT(opens_at);
    OPERATE_TEXT(closes_at);
    OPERATE_TEXT(results);
    bool clear, force, replace, dry_run;
    OPERATE_TEXT(articles);
    OPERATE_TEXT(format);
    OPERATE_TEXT(file);
    OPERATE_TEXT(reader_file);
    OPERATE_TEXT(source);
    OPERATE_TEXT(counts);
    OPERATE_TEXT(key_file);
    OPERATE_TEXT(broker_config);
    OPERATE_TEXT(other_host);
    uint64_t other_port;
    OPERATE_TEXT(spool);
    OPERATE_TEXT(durability);
    uint64_t timeout_s;
    OPERATE_TEXT(edge);
    uint64_t quiet_s;
    uint64_t shown; /* the option `articles` where it is a number */
    bool json, once;

    struct article_list list; /* of `articles` */
    enum rows_format rows;    /* of `format` */
    uint64_t edge_id;         /* of `edge` */
};

/* Such as "reset". */
const char *operate_settings_name(enum operate_command command);

/* Like option_parse, behind the configuration file's [common] and the environment (core/config.h);
 * argv[0] is the command's name, and for some commands argv[1] is the article.
 * Settings of other commands' options are empty. */
int operate_settings_parse(struct operate_settings *settings, enum operate_command command,
                           int argc, char **argv, char *const *environment, int *help,
                           struct error *error);

/* The command's options, like option_print. */
void operate_settings_print(enum operate_command command, FILE *out);

#endif
