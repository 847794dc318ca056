/* The table of options, each with the commands that accept it, and the checks that it cannot
 * express. */
#include "operate_settings.h"

#include "core/config.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct operate_settings, field)
#define LINK AT(links)
#define TEXT(field, initial, accepts, help)                                                        \
    {                                                                                              \
#field, OPTION_TEXT, AT(field), (initial) == NULL, OPTION_TEXT_MAX_BYTES, initial,         \
            accepts, help                                                                          \
    }
#define SWITCH(field, help)                                                                        \
    {                                                                                              \
#field, OPTION_SWITCH, AT(field), 0, 0, "off", "on or off", help                           \
    }
#define BIT(command) (1u << OPERATE_##command)
#define ARTICLE BIT(ARTICLE)
#define CHANGING (BIT(RESET) | BIT(ARCHIVE) | BIT(IMPORT) | BIT(ERASE) | BIT(FORGET))
#define REDIS (ARTICLE | CHANGING | BIT(EXPORT) | BIT(CHECK_EDGE) | BIT(DRAIN) | BIT(TOP))
#define BROKER (ARTICLE | BIT(WATCH))
#define ALL (REDIS | BROKER)
#define NUMBER(field, min, max, initial, accepts, help)                                            \
    {                                                                                              \
#field, OPTION_NUMBER, AT(field), min, max, initial, accepts, help                         \
    }

static const struct {
    unsigned of; /* a bit for each command that has it */
    struct option option;
} rows[] = {
    {ALL, CONFIG_OPTION(AT(config))},
    {BROKER, LINKS_TEXT(LINK, services_file, 1, NULL, "a file of mode 0600 or 0640",
                        "file that holds the user's secret")},
    {BROKER, LINKS_TEXT(LINK, user, 0, "operator", "a name in the services file",
                        "user name at the broker")},
    {BROKER, LINKS_TEXT(LINK, mqtt_host, 0, "127.0.0.1", "a name or address", "the broker")},
    {BROKER, LINKS_PORT(LINK, mqtt_port, "1883", "the broker's port")},
    {BROKER,
     LINKS_TEXT(LINK, topic_prefix, 0, "", ARTICLE_PREFIX_ACCEPTS, "prefix of every topic")},
    {REDIS, LINKS_TEXT(LINK, redis_host, 0, LINKS_REDIS_HOST,
                       "a name, an address, or a socket's path", "Redis")},
    {REDIS, LINKS_PORT(LINK, redis_port, LINKS_REDIS_PORT, "Redis's port")},
    {REDIS, LINKS_REDIS_URL(LINK)},
    {REDIS, LINKS_REDIS_PASSWORD_FILE(LINK)},
    {REDIS, LINKS_REDIS_CA_FILE(LINK)},
    {REDIS, LINKS_REDIS_CERT_FILE(LINK)},
    {REDIS, LINKS_REDIS_KEY_FILE(LINK)},
    {REDIS, LINKS_REDIS_SERVER_NAME(LINK)},
    {REDIS, LINKS_REDIS_PREFIX(LINK)},
    {ARTICLE, TEXT(state, "", "open or closed", "whether readers may react")},
    {ARTICLE, TEXT(kinds, "", "1 to 15 kinds separated by commas, or all",
                   "kinds to offer, in display order")},
    {ARTICLE, TEXT(opens_at, "", "a time as 2030-12-01T08:00:00Z, or none",
                   "the article is closed before this time")},
    {ARTICLE, TEXT(closes_at, "", "a time as 2030-12-01T08:00:00Z, or none",
                   "the article is closed from this time on")},
    {ARTICLE, TEXT(results, "", "always or after_close", "when readers see the article's totals")},
    {ARTICLE, SWITCH(clear, "remove the article's whole state")},
    {BIT(ARCHIVE) | BIT(FORGET),
     SWITCH(force, "skip the check: archive an open article, or forget an edge that may live")},
    {BIT(WATCH),
     {"articles", OPTION_NUMBER, AT(shown), 0, 100, "10", "0 to 100",
      "hottest articles to show; 0: watch no totals"}},
    {BIT(TOP),
     {"articles", OPTION_NUMBER, AT(shown), 1, 1000, "20", "1 to 1000", "articles to show"}},
    {BIT(WATCH), SWITCH(once, "show the figures once, and end")},
    {ALL & ~BIT(EXPORT), SWITCH(json, "JSON instead of text")},
    {BIT(EXPORT), TEXT(articles, "all", ARTICLE_LIST_ACCEPTS, "articles to export")},
    {BIT(EXPORT) | BIT(IMPORT), TEXT(format, "csv", "csv or jsonl", "format of the lines")},
    {BIT(IMPORT), TEXT(file, NULL, "a file, or - for standard input", "file to import")},
    {BIT(IMPORT), SWITCH(replace, "replace a base that is there already")},
    {BIT(ERASE), TEXT(reader_file, NULL, "a file of mode 0600 or 0640, or - for standard input",
                      "file with the reader's own id as its only line")},
    {BIT(ERASE), TEXT(source, NULL, "username, client_id or token",
                      "kind of the id; token: a token's sub, or a gateway's reader")},
    {BIT(ERASE), TEXT(counts, NULL, "remove or keep",
                      "remove the reader's reactions from the totals, or keep them as numbers")},
    {BIT(ERASE),
     TEXT(key_file, NULL, "a file of mode 0600 or 0640", "key that hashes readers: 32 hex digits")},
    {BIT(CHECK_EDGE), TEXT(broker_config, NULL, "a file", "this edge's mosquitto.conf")},
    {BIT(CHECK_EDGE),
     TEXT(other_host, NULL, "a name or address", "an edge that counts into the store already")},
    {BIT(CHECK_EDGE),
     NUMBER(other_port, 1, 65535, "8080", "1 to 65535", "the port of that edge's feed")},
    {BIT(DRAIN), TEXT(spool, NULL, "a folder", "the spool of this edge; it is only read")},
    {BIT(DRAIN), NUMBER(timeout_s, 0, 86400, "60", "0 to 86400", "time limit in seconds")},
    {BIT(DRAIN) | BIT(CHECK_EDGE),
     TEXT(durability, "aof", "aof, replicas or service",
          "the collectors' option of that name; replicas: wait until a replica has everything")},
    {BIT(FORGET), TEXT(edge, NULL, "16 hex digits", "an edge that is gone for good")},
    {BIT(FORGET), NUMBER(quiet_s, 1, 3600, "120", "1 to 3600",
                         "seconds without an applied batch that show it is gone")},
    {CHANGING, SWITCH(dry_run, "report what would be done, and change nothing")},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static size_t rows_of(enum operate_command command, struct option table[ROWS])
{
    size_t n = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].of & (1u << command))
            table[n++] = rows[i].option;
    return n;
}

const char *operate_settings_name(enum operate_command command)
{
    static const char *const names[] = {"article", "reset", "archive",    "export",
                                        "import",  "erase", "check-edge", "drain",
                                        "forget",  "watch", "top"};
    return names[command];
}

void operate_settings_print(enum operate_command command, FILE *out)
{
    struct option table[ROWS];
    size_t n = rows_of(command, table);
    option_print(table, n, out);
}

static bool names_an_article(enum operate_command command)
{
    return command == OPERATE_ARTICLE || command == OPERATE_RESET || command == OPERATE_ARCHIVE;
}

/* Whether a given option is one of the words in the table. */
static int check_word(const char *name, const char *value, const char *const *words,
                      struct error *error)
{
    if (*value == '\0')
        return 0;
    for (const char *const *word = words; *word != NULL; word++)
        if (strcmp(value, *word) == 0)
            return 0;
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].option.name, name) == 0)
            return error_set(error, "option %s: %s is not %s", name, value, rows[i].option.accepts);
    return -1;
}

static int check_words(const struct operate_settings *settings, struct error *error)
{
    static const char *const states[] = {"open", "closed", NULL},
                             *const results[] = {"always", "after_close", NULL},
                             *const formats[] = {"csv", "jsonl", NULL},
                             *const sources[] = {"username", "client_id", "token", NULL},
                             *const counts[] = {"remove", "keep", NULL},
                             *const durabilities[] = {"aof", "replicas", "service", NULL};
    if (check_word("state", settings->state, states, error) != 0 ||
        check_word("results", settings->results, results, error) != 0 ||
        check_word("format", settings->format, formats, error) != 0 ||
        check_word("source", settings->source, sources, error) != 0 ||
        check_word("counts", settings->counts, counts, error) != 0 ||
        check_word("durability", settings->durability, durabilities, error) != 0)
        return -1;
    if (settings->clear && (settings->state[0] != '\0' || settings->kinds[0] != '\0' ||
                            settings->opens_at[0] != '\0' || settings->closes_at[0] != '\0' ||
                            settings->results[0] != '\0'))
        return error_set(error, "option clear: takes all of the state back, and goes "
                                "with no other part of it");
    return 0;
}

static int read_edge(struct operate_settings *settings, struct error *error)
{
    const char *edge = settings->edge;
    settings->edge_id = strtoull(edge, NULL, 16);
    if (strlen(edge) != 16 || strspn(edge, "0123456789abcdef") != 16 || settings->edge_id == 0)
        return error_set(error, "option edge: %s is not 16 hex digits; tally audit names the edges",
                         edge);
    return 0;
}

static int operate_settings_check(struct operate_settings *settings, struct error *error)
{
    if (names_an_article(settings->command) && settings->article[0] == '\0')
        return error_set(error, "an article is missing: tally %s ARTICLE --option=value …",
                         operate_settings_name(settings->command));
    if (names_an_article(settings->command) &&
        !article_valid(settings->article, strlen(settings->article)))
        return error_set(error, "%s is not an article id", settings->article);
    if (check_words(settings, error) != 0)
        return -1;
    if (settings->command == OPERATE_FORGET && read_edge(settings, error) != 0)
        return -1;
    settings->rows = strcmp(settings->format, "jsonl") == 0 ? ROWS_JSONL : ROWS_CSV;
    if (settings->command == OPERATE_EXPORT)
        return article_list_parse(&settings->list, settings->articles, error);
    return 0;
}

int operate_settings_parse(struct operate_settings *settings, enum operate_command command,
                           int argc, char **argv, char *const *environment, int *help,
                           struct error *error)
{
    struct option table[ROWS];
    size_t n = rows_of(command, table);
    memset(settings, 0, sizeof *settings);
    settings->command = command;
    if (names_an_article(command) && argc > 1 && strncmp(argv[1], "--", 2) != 0) {
        if (strlen(argv[1]) > ARTICLE_MAX_BYTES)
            return error_set(error, "an article's id has %d bytes at most", ARTICLE_MAX_BYTES);
        memcpy(settings->article, argv[1], strlen(argv[1]));
        argc--;
        argv++;
    }
    struct config *config = config_new(table, n, NULL, argc, argv, environment, error);
    if (config == NULL)
        return -1;
    argc = config_argc(config);
    argv = config_argv(config);
    int rc = option_parse(table, n, settings, argc, argv, help, error);
    if (command == OPERATE_WATCH) /* it has no option about Redis */
        memcpy(settings->links.redis_prefix, REDIS_KEY_PREFIX, sizeof REDIS_KEY_PREFIX);
    if (rc == 0)
        rc = links_check(&settings->links, argc, argv, error);
    config_free(config);
    return rc == 0 ? operate_settings_check(settings, error) : rc;
}
