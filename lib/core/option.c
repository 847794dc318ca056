/* Finds an option in its table, parses the value by its type, and writes it at its offset. */
#include "core/option.h"

#include "core/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 64
#define SHOWN_MAX_BYTES 120 /* how much of a wrong value an error shows */

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *out = value;
    return value >= min && value <= max;
}

static bool parse_switch(const char *text, bool *out)
{
    static const char *const words[] = {"off", "on", "false", "true", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    return false;
}

/* Stores the value in the option's field. Returns false if the option does not accept it. */
static bool store(const struct option *option, void *settings, const char *value)
{
    unsigned char *out = (unsigned char *)settings + option->offset;
    uint64_t number;
    bool on;
    size_t bytes;

    switch (option->type) {
    case OPTION_NUMBER:
        if (!parse_number(value, option->min, option->max, &number))
            return false;
        memcpy(out, &number, sizeof number);
        return true;
    case OPTION_SWITCH:
        if (!parse_switch(value, &on))
            return false;
        memcpy(out, &on, sizeof on);
        return true;
    case OPTION_TEXT:
        bytes = strlen(value);
        if (bytes > OPTION_TEXT_MAX_BYTES || bytes < option->min)
            return false;
        memset(out, 0, OPTION_TEXT_MAX_BYTES + 1);
        memcpy(out, value, bytes);
        return true;
    }
    return false;
}

/* The name up to its end or a '='. - and _ are equivalent. */
static bool same_name(const char *name, const char *given, size_t given_bytes)
{
    if (strlen(name) != given_bytes)
        return false;
    for (size_t i = 0; i < given_bytes; i++)
        if (name[i] != (given[i] == '-' ? '_' : given[i]))
            return false;
    return true;
}

static size_t option_find(const struct option *table, size_t n, const char *name, size_t bytes)
{
    size_t i = 0;
    while (i < n && !same_name(table[i].name, name, bytes))
        i++;
    return i;
}

static int unknown(const struct option *table, size_t n, const char *name, size_t bytes,
                   struct error *error)
{
    char known[2048];
    size_t used = 0;
    known[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        int more =
            snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", table[i].name);
        if (more < 0 || (size_t)more >= sizeof known - used)
            break;
        used += (size_t)more;
    }
    return error_set(error, "unknown option %.*s; known: %s",
                     (int)(bytes > SHOWN_MAX_BYTES ? SHOWN_MAX_BYTES : bytes), name, known);
}

int option_defaults(const struct option *table, size_t n, void *settings, struct error *error)
{
    if (n > OPTIONS_MAX)
        return error_set(error, "option table: over %d options", OPTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct option *option = &table[i];
        if (option->name == NULL || option->accepts == NULL || option->help == NULL)
            return error_set(error, "option table: entry %zu is incomplete", i);
        if (option_find(table, n, option->name, strlen(option->name)) != i)
            return error_set(error, "option table: %s appears twice", option->name);
        if (option->initial == NULL) {
            if (option->type == OPTION_TEXT)
                memset((unsigned char *)settings + option->offset, 0, OPTION_TEXT_MAX_BYTES + 1);
            continue;
        }
        if (!store(option, settings, option->initial))
            return error_set(error, "option table: default %s of %s is not %s", option->initial,
                             option->name, option->accepts);
    }
    return 0;
}

/* Sets the option named by the first `name_bytes` bytes of `name`. */
static int set(const struct option *table, size_t n, void *settings, bool *given, const char *name,
               size_t name_bytes, const char *value, struct error *error)
{
    size_t i = option_find(table, n, name, name_bytes);
    if (i == n)
        return unknown(table, n, name, name_bytes, error);
    if (given[i])
        return error_set(error, "option %s is given twice", table[i].name);
    given[i] = true;
    return store(&table[i], settings, value) ? 0 : option_try(&table[i], value, error);
}

int option_set(const struct option *table, size_t n, void *settings, _Bool *given, const char *name,
               const char *value, struct error *error)
{
    return set(table, n, settings, given, name, strlen(name), value, error);
}

int option_check(const struct option *table, size_t n, const _Bool *given, struct error *error)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].initial == NULL && !given[i])
            return error_set(error, "option %s is missing: %s", table[i].name, table[i].accepts);
    return 0;
}

/* The value of the option that argv[*i] names: the text after '=', the next argument, or "on" for a
 * switch without a value. */
static const char *value_of(const struct option *option, int argc, char **argv, int *i,
                            const char *after_name)
{
    bool on;
    if (*after_name == '=')
        return after_name + 1;
    bool alone = *i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0;
    if (option->type == OPTION_SWITCH && (alone || !parse_switch(argv[*i + 1], &on)))
        return "on";
    return alone ? NULL : argv[++*i];
}

int option_parse(const struct option *table, size_t n, void *settings, int argc, char **argv,
                 int *help, struct error *error)
{
    bool given[OPTIONS_MAX] = {false};

    *help = 0;
    if (option_defaults(table, n, settings, error) != 0)
        return -1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "--version") == 0) {
            *help = argv[i][2];
            return 1;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return error_set(error, "%.*s is not an option: options are --name=value",
                             SHOWN_MAX_BYTES, argv[i]);
        const char *name = argv[i] + 2;
        size_t name_bytes = strcspn(name, "=");
        size_t which = option_find(table, n, name, name_bytes);
        if (which == n)
            return unknown(table, n, name, name_bytes, error);
        const char *value = value_of(&table[which], argc, argv, &i, name + name_bytes);
        if (value == NULL)
            return error_set(error, "option %s has no value: %s", table[which].name,
                             table[which].accepts);
        if (set(table, n, settings, given, name, name_bytes, value, error) != 0)
            return -1;
    }
    return option_check(table, n, given, error);
}

int option_try(const struct option *option, const char *value, struct error *error)
{
    unsigned char scratch[OPTION_TEXT_MAX_BYTES + 1];
    struct option alone = *option;
    alone.offset = 0;
    if (store(&alone, scratch, value))
        return 0;
    return error_set(error, "option %s: %.*s is not %s", option->name, SHOWN_MAX_BYTES, value,
                     option->accepts);
}

/* The index of the argument that names the option; `argc` if none does. No argument except an
 * option begins with --: a value of that kind follows a '='. */
static int option_index(int argc, char **argv, const char *name)
{
    int i = 1;
    while (i < argc && (strncmp(argv[i], "--", 2) != 0 ||
                        !same_name(name, argv[i] + 2, strcspn(argv[i] + 2, "="))))
        i++;
    return i < argc ? i : argc;
}

bool option_given(int argc, char **argv, const char *name)
{
    return option_index(argc, argv, name) < argc;
}

const char *option_argument(int argc, char **argv, const char *name)
{
    int i = option_index(argc, argv, name);
    const char *value = i < argc ? strchr(argv[i], '=') : NULL;
    if (value != NULL)
        return value + 1;
    return i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 ? argv[i + 1] : NULL;
}

void option_print(const struct option *table, size_t n, void *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *initial = table[i].initial;
        fprintf(out, "%s | %s | %s | %s\n", table[i].name, initial == NULL ? "required" : initial,
                table[i].accepts, table[i].help);
    }
}
