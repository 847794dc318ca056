/* Options from a configuration file and from the environment. They join those of the command line
 * in one argument vector, which option_parse then reads: one table, one parser, one set of errors.
 * For each option the nearest source wins: the command line, then the environment, then the
 * program's section of the file, then [common].
 *
 * The file has lines `name = value`, `# comment` and `[section]`; a value is the rest of its line,
 * without the blanks around it. docs/reference/configuration.md is its reference.
 *
 * One thread. Reads the file and nothing else. */
#ifndef TALLY_CORE_CONFIG_H
#define TALLY_CORE_CONFIG_H

#include "core/error.h"
#include "core/option.h"

#include <stddef.h>

/* Read if neither --config nor TALLY_CONFIG names a file, and if it exists. An empty name: no
 * file is read. */
#define CONFIG_FILE "/etc/tally/tally.conf"
#define CONFIG_FILE_MAX_BYTES 65536

/* The row of the option that names the file. The program stores it and needs it no further. */
#define CONFIG_OPTION(offset)                                                                      \
    {                                                                                              \
        "config", OPTION_TEXT, offset, 0, OPTION_TEXT_MAX_BYTES, CONFIG_FILE, "a file, or empty",  \
            "options from this file; the command line and TALLY_… override it"                   \
    }

struct config;

/* Merges the sources for the options in `table`. `section` is the program's own: "broker",
 * "collector" or "feed"; NULL if it has only [common]. `environment` is like environ. Each value is
 * checked here, so that an error says from which line or variable it comes. With --help or
 * --version, neither file nor environment is read. Returns what the caller
 * frees with config_free; NULL with a sentence in `error`. The strings in argv must outlive it. */
struct config *config_new(const struct option *table, size_t n, const char *section, int argc,
                          char **argv, char *const *environment, struct error *error);
void config_free(struct config *config);

/* The merged arguments, for option_parse and option_given; valid until config_free. */
int config_argc(const struct config *config);
char **config_argv(const struct config *config);

/* The names that [common] accepts and TALLY_<NAME> sets: those that more than one program has, with
 * one meaning. NULL-terminated. */
extern const char *const config_common[];

#endif
