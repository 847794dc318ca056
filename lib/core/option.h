/* One table declares every option of a program: name, type, range, default, accepted values. The
 * same table parses the options and prints the help. A test checks it against
 * docs/reference/options.md. Pure; any thread. */
#ifndef TALLY_CORE_OPTION_H
#define TALLY_CORE_OPTION_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define OPTION_TEXT_MAX_BYTES 255

enum option_type {
    OPTION_TEXT,   /* char[OPTION_TEXT_MAX_BYTES + 1]; min 1 makes it required (no default) */
    OPTION_NUMBER, /* uint64_t, min to max */
    OPTION_SWITCH, /* bool: on, true, 1 / off, false, 0 */
};

struct option {
    const char *name; /* as in plugin_opt_<name> or --<name> (there with - or _) */
    enum option_type type;
    size_t offset;       /* of the value in the program's settings struct */
    uint64_t min, max;   /* numbers: range; text: 1, OPTION_TEXT_MAX_BYTES where required, else 0 */
    const char *initial; /* the default, as text; NULL: required */
    const char *accepts; /* "a directory", "on or off", "1 to 64" */
    const char *help;    /* one line for --help and the page of options */
};

/* Sets every default. Returns 0, or -1 if the table itself is wrong (a programming error; `error`
 * says what). */
int option_defaults(const struct option *table, size_t n, void *settings, struct error *error);

/* Sets one option. Returns 0, or -1 with "option NAME: VALUE is not ACCEPTS" or "unknown option
 * NAME; known: …" in `error`. `-` in the name counts as `_`. Giving an option twice is an error:
 * `given` has one bool per entry, initially all false. */
int option_set(const struct option *table, size_t n, void *settings, _Bool *given, const char *name,
               const char *value, struct error *error);

/* Call after setting the options. Returns -1 with "option NAME is missing: ACCEPTS" if a required
 * one was not given. */
int option_check(const struct option *table, size_t n, const _Bool *given, struct error *error);

/* Parses argv "--name=value" and "--name value" (a switch without a value means on). Returns 0; 1
 * for --help or --version (sets *help to 'h' or 'v'); or -1 with a sentence in `error`. Includes
 * option_defaults and option_check. */
int option_parse(const struct option *table, size_t n, void *settings, int argc, char **argv,
                 int *help, struct error *error);

/* Whether the option accepts the value. Returns 0, or -1 with "option NAME: VALUE is not ACCEPTS".
 */
int option_try(const struct option *option, const char *value, struct error *error);

/* Whether these arguments give the option. */
_Bool option_given(int argc, char **argv, const char *name);
/* The value that they give to an option other than a switch; NULL if they give none. Points into
 * argv. */
const char *option_argument(int argc, char **argv, const char *name);

/* Writes a line "name | default | accepts | help" for each option to `out` (a FILE *). */
void option_print(const struct option *table, size_t n, void *out);

#endif
