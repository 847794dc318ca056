/* Reads the configuration file and the environment, and puts what the command line does not give
 * before it. See config.h for the order. */
#include "core/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64
#define ARGUMENT_MAX_BYTES (2 + NAME_MAX_BYTES + 1 + OPTION_TEXT_MAX_BYTES + 1)

/* Where a value comes from; a later one goes before an earlier one. */
enum rank { RANK_NONE, RANK_COMMON, RANK_SECTION, RANK_ENVIRONMENT, RANK_OWN, RANK_ARGUMENT };

struct config {
    const struct option *table;
    size_t n;
    const char *section; /* or NULL */
    enum rank *rank;     /* of each option */
    char (*text)[ARGUMENT_MAX_BYTES];
    char **argv;
    int argc;
};

const char *const config_common[] = {
    "spool",
    "services_file",
    "topic_prefix",
    "mqtt_host",
    "mqtt_port",
    "http_port",
    "websocket_port",
    "redis_host",
    "redis_port",
    "redis_url",
    "redis_password_file",
    "redis_ca_file",
    "redis_cert_file",
    "redis_key_file",
    "redis_server_name",
    "redis_prefix",
    "log_level",
    "key_file",
    "durability",
    "trusted_proxies",
    "log_format",
    NULL,
};

/* `mosquitto` is the broker's listeners, which tally mosquitto-conf writes. */
static const char *const config_sections[] = {"common",    "mosquitto", "broker",
                                              "collector", "feed",      NULL};

/* Two ways to say one thing. A nearer source's choice replaces a farther one's. */
static const char *const config_either[][2] = {{"redis_url", "redis_host"},
                                               {"redis_url", "redis_port"}};

static bool config_among(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static size_t config_find(const struct config *config, const char *name)
{
    size_t i = 0;
    while (i < config->n && strcmp(config->table[i].name, name) != 0)
        i++;
    return i;
}

/* Takes a value for the option if no nearer source has given one. */
static int config_take(struct config *config, size_t i, enum rank rank, const char *value,
                       struct error *error)
{
    if (option_try(&config->table[i], value, error) != 0)
        return -1;
    if (rank > config->rank[i]) {
        config->rank[i] = rank;
        (void)snprintf(config->text[i], ARGUMENT_MAX_BYTES, "--%s=%s", config->table[i].name,
                       value);
    }
    return 0;
}

/* --- the file --- */

struct place {
    const char *path;
    unsigned line;
    char section[NAME_MAX_BYTES + 1];
};

static int config_wrong(const struct place *place, const char *what, const char *which,
                        const char *accepts, struct error *error)
{
    return error_set(error, "%s:%u: %s%.80s%s", place->path, place->line, what, which, accepts);
}

static char *config_trim(char *text)
{
    size_t bytes;
    while (isspace((unsigned char)*text))
        text++;
    bytes = strlen(text);
    while (bytes > 0 && isspace((unsigned char)text[bytes - 1]))
        bytes--;
    text[bytes] = '\0';
    return text;
}

static int config_section(struct place *place, char *line, struct error *error)
{
    char *end = strchr(line, ']');
    if (end == NULL || end[1] != '\0')
        return config_wrong(place, "a section is [name]: ", line, "", error);
    *end = '\0';
    if (!config_among(config_sections, line + 1))
        return config_wrong(place, "unknown section [", line + 1,
                            "]; known: common, mosquitto, broker, collector, feed", error);
    (void)snprintf(place->section, sizeof place->section, "%s", line + 1);
    return 0;
}

static int config_option(struct config *config, struct place *place, const char *name,
                         const char *value, struct error *error)
{
    struct error why;
    bool common = strcmp(place->section, "common") == 0;
    size_t i = config_find(config, name);
    enum rank rank = common ? RANK_COMMON : RANK_SECTION;
    if (common && !config_among(config_common, name))
        return config_wrong(place, "[common] does not accept ", name,
                            "; put it into the section of its program", error);
    if (!common && (config->section == NULL || strcmp(place->section, config->section) != 0))
        return 0; /* another program's */
    if (i == config->n && common)
        return 0;
    if (i == config->n || strcmp(name, "config") == 0)
        return config_wrong(place, "unknown option ", name, " in this section; --help lists all",
                            error);
    if (config->rank[i] == rank)
        return config_wrong(place, "", name, " is given twice", error);
    if (config_take(config, i, rank, value, &why) != 0)
        return error_set(error, "%s:%u: %s", place->path, place->line, why.text);
    return 0;
}

static int config_line(struct config *config, struct place *place, char *text, struct error *error)
{
    char *line = config_trim(text), *value;
    if (*line == '\0' || *line == '#')
        return 0;
    if (*line == '[')
        return config_section(place, line, error);
    value = strchr(line, '=');
    if (value == NULL)
        return config_wrong(place, "neither a section nor name = value: ", line, "", error);
    *value++ = '\0';
    if (place->section[0] == '\0')
        return config_wrong(place, "", config_trim(line), " is before the first [section]", error);
    return config_option(config, place, config_trim(line), config_trim(value), error);
}

static int config_lines(struct config *config, const char *path, char *text, struct error *error)
{
    struct place place = {.path = path};
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        place.line++;
        if (config_line(config, &place, line, error) != 0)
            return -1;
    }
    return 0;
}

/* `must`: a file that does not exist is an error. */
static int config_file(struct config *config, const char *path, bool must, struct error *error)
{
    static char text[CONFIG_FILE_MAX_BYTES + 1];
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT && !must)
        return 0;
    if (file == NULL)
        return error_set(error, "option config: %s: %s", path, strerror(errno));
    size_t bytes = fread(text, 1, sizeof text, file);
    int wrong = ferror(file) ? errno : 0;
    (void)fclose(file);
    if (wrong != 0)
        return error_set(error, "option config: %s: %s", path, strerror(wrong));
    if (bytes == sizeof text)
        return error_set(error, "option config: %s is longer than %d bytes", path,
                         CONFIG_FILE_MAX_BYTES);
    if (memchr(text, '\0', bytes) != NULL)
        return error_set(error, "option config: %s is not text: it has a NUL", path);
    text[bytes] = '\0';
    return config_lines(config, path, text, error);
}

/* --- the environment --- */

static int config_variable(struct config *config, const char *variable, const char *name,
                           enum rank rank, const char *value, struct error *error)
{
    struct error why;
    size_t i = config_find(config, name);
    if (i == config->n && rank == RANK_OWN)
        return error_set(error,
                         "environment variable %.80s: unknown option %.64s; --help lists all",
                         variable, name);
    if (i < config->n && config_take(config, i, rank, value, &why) != 0)
        return error_set(error, "environment variable %.80s: %s", variable, why.text);
    return 0;
}

/* An entry of the environment, NAME=value. An empty value counts as absent. */
static int config_entry(struct config *config, const char *entry, struct error *error)
{
    char variable[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];
    size_t bytes = strcspn(entry, "="), own = config->section == NULL ? 0 : strlen(config->section);
    if (strncmp(entry, "TALLY_", 6) != 0 || bytes > NAME_MAX_BYTES || entry[bytes] == '\0' ||
        entry[bytes + 1] == '\0')
        return 0;
    (void)snprintf(variable, sizeof variable, "%.*s", (int)bytes, entry);
    for (size_t i = 0; i <= bytes - 6; i++)
        name[i] = (char)tolower((unsigned char)variable[6 + i]);
    if (own > 0 && strncmp(name, config->section, own) == 0 && name[own] == '_')
        return config_variable(config, variable, name + own + 1, RANK_OWN, entry + bytes + 1,
                               error);
    if (!config_among(config_common, name))
        return 0; /* a script's, or another program's */
    return config_variable(config, variable, name, RANK_ENVIRONMENT, entry + bytes + 1, error);
}

/* --- all of it --- */

static const char *config_path(int argc, char **argv, char *const *environment, bool *must)
{
    const char *path = option_argument(argc, argv, "config");
    *must = true;
    for (; path == NULL && *environment != NULL; environment++)
        if (strncmp(*environment, "TALLY_CONFIG=", 13) == 0)
            path = *environment + 13;
    if (path == NULL) {
        *must = false;
        return CONFIG_FILE;
    }
    return path;
}

static void config_settle(struct config *config)
{
    for (size_t i = 0; i < sizeof config_either / sizeof config_either[0]; i++) {
        size_t one = config_find(config, config_either[i][0]);
        size_t other = config_find(config, config_either[i][1]);
        if (one == config->n || other == config->n)
            continue;
        if (config->rank[one] > config->rank[other])
            config->rank[other] = RANK_NONE;
        else if (config->rank[other] > config->rank[one])
            config->rank[one] = RANK_NONE;
    }
}

static void config_merge(struct config *config, int argc, char **argv)
{
    config->argv[config->argc++] = argv[0];
    for (size_t i = 0; i < config->n; i++)
        if (config->rank[i] != RANK_NONE && config->rank[i] != RANK_ARGUMENT)
            config->argv[config->argc++] = config->text[i];
    for (int i = 1; i < argc; i++)
        config->argv[config->argc++] = argv[i];
    config->argv[config->argc] = NULL;
}

static int config_read(struct config *config, int argc, char **argv, char *const *environment,
                       struct error *error)
{
    bool must;
    const char *path = config_path(argc, argv, environment, &must);
    bool aside = option_given(argc, argv, "help") || option_given(argc, argv, "version");
    for (size_t i = 0; i < config->n; i++)
        if (option_given(argc, argv, config->table[i].name))
            config->rank[i] = RANK_ARGUMENT;
    if (!aside && path[0] != '\0' && config_file(config, path, must, error) != 0)
        return -1;
    for (; !aside && *environment != NULL; environment++)
        if (config_entry(config, *environment, error) != 0)
            return -1;
    config_settle(config);
    config_merge(config, argc, argv);
    return 0;
}

struct config *config_new(const struct option *table, size_t n, const char *section, int argc,
                          char **argv, char *const *environment, struct error *error)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL)
        goto failed;
    config->table = table;
    config->n = n;
    config->section = section;
    config->rank = calloc(n, sizeof *config->rank);
    config->text = calloc(n, sizeof *config->text);
    config->argv = calloc(n + (size_t)argc + 1, sizeof *config->argv);
    if (config->rank == NULL || config->text == NULL || config->argv == NULL)
        goto failed;
    if (config_read(config, argc, argv, environment, error) == 0)
        return config;
    config_free(config);
    return NULL;
failed:
    config_free(config);
    (void)error_set(error, "out of memory");
    return NULL;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    free(config->rank);
    free(config->text);
    free(config->argv);
    free(config);
}

int config_argc(const struct config *config)
{
    return config->argc;
}

char **config_argv(const struct config *config)
{
    return config->argv;
}
