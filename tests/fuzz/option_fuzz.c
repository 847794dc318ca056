/* Command lines (a line an argument) and option lists (name=value lines) over a table with every
 * type. */
#include "core/option.h"
#include "fuzz.h"

#define ARGUMENTS_MAX 32
#define AT(field) offsetof(struct values, field)

struct values {
    char path[OPTION_TEXT_MAX_BYTES + 1], name[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t port, large;
    bool open, shut;
};

static const struct option table[] = {
    {"path", OPTION_TEXT, AT(path), 1, OPTION_TEXT_MAX_BYTES, NULL, "a path", "required"},
    {"a_name", OPTION_TEXT, AT(name), 0, 0, "", "anything", "may be empty"},
    {"port", OPTION_NUMBER, AT(port), 1, 65535, "1883", "1 to 65535", "a port"},
    {"large", OPTION_NUMBER, AT(large), 0, UINT64_MAX, "18446744073709551615", "any number",
     "the widest"},
    {"open", OPTION_SWITCH, AT(open), 0, 0, "off", "on or off", "a switch"},
    {"shut", OPTION_SWITCH, AT(shut), 0, 0, "on", "on or off", "another"},
};
enum { OPTIONS = sizeof table / sizeof table[0] };

static void check_values(const struct values *values)
{
    FUZZ_CHECK(memchr(values->path, 0, sizeof values->path) != NULL && values->path[0] != '\0');
    FUZZ_CHECK(memchr(values->name, 0, sizeof values->name) != NULL);
    FUZZ_CHECK(values->port >= 1 && values->port <= 65535);
    FUZZ_CHECK((unsigned)values->open <= 1 && (unsigned)values->shut <= 1);
}

/* Written as a command line again, it says the same. */
static void check_again(const struct values *values)
{
    static char line[OPTIONS][OPTION_TEXT_MAX_BYTES + 64];
    char *argv[OPTIONS + 1] = {line[0]};
    struct values again;
    int help;
    memset(&again, 0, sizeof again);
    snprintf(line[0], sizeof line[0], "--path=%s", values->path);
    snprintf(line[1], sizeof line[1], "--a-name=%s", values->name);
    snprintf(line[2], sizeof line[2], "--port=%llu", (unsigned long long)values->port);
    snprintf(line[3], sizeof line[3], "--large=%llu", (unsigned long long)values->large);
    snprintf(line[4], sizeof line[4], "--open=%d", values->open);
    snprintf(line[5], sizeof line[5], "--shut=%s", values->shut ? "true" : "false");
    for (int i = 0; i < OPTIONS; i++)
        argv[i + 1] = line[i];
    FUZZ_CHECK(option_parse(table, OPTIONS, &again, OPTIONS + 1, argv, &help, NULL) == 0);
    FUZZ_CHECK(memcmp(&again, values, sizeof again) == 0);
}

static void check_command_line(int argc, char **argv)
{
    struct values values;
    struct error error = {0};
    int help = 0;
    memset(&values, 0, sizeof values);
    int result = option_parse(table, OPTIONS, &values, argc, argv, &help, &error);
    FUZZ_CHECK(result >= -1 && result <= 1 && (result == -1) == (error.text[0] != '\0'));
    FUZZ_CHECK((result == 1) == (help != 0));
    if (result != 0)
        return;
    check_values(&values);
    check_again(&values);
}

static void check_list(int n, char **pairs)
{
    struct values values;
    bool given[OPTIONS] = {false};
    struct error error = {0};
    memset(&values, 0, sizeof values);
    FUZZ_CHECK(option_defaults(table, OPTIONS, &values, NULL) == 0);
    for (int i = 0; i < n; i++) {
        char *value = strchr(pairs[i], '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        if (option_set(table, OPTIONS, &values, given, pairs[i], value, &error) != 0) {
            FUZZ_CHECK(error.text[0] != '\0');
            return;
        }
    }
    if (option_check(table, OPTIONS, given, &error) == 0)
        check_values(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    char program[] = "program", *argv[ARGUMENTS_MAX + 1] = {program};
    int argc = 1;
    while (argc < ARGUMENTS_MAX && (argv[argc] = fuzz_line(&in)) != NULL)
        argc++;
    check_command_line(argc, argv);
    check_list(argc - 1, argv + 1);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return 0;
}
