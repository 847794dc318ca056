/* Reads the broker's own configuration files, and finds settings under which Tally could not keep
 * its promise. */
#include "broker_config.h"

#include "core/error.h"
#include "core/reaction.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 4096
#define CMDLINE_MAX_BYTES 65536

static bool broker_config_is(const char *word, const char *what)
{
    return strcmp(word, what) == 0;
}

static bool is_true(const char *value)
{
    return broker_config_is(value, "true") || broker_config_is(value, "1");
}

/* A duration as the broker parses it (conf.c): a number and one of h, d, w, m and y. 0: none. */
static uint64_t seconds_of(const char *value)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'h', 3600}, {'d', 86400}, {'w', 604800}, {'m', 2592000}, {'y', 31536000}};
    char *end;
    long n = strtol(value, &end, 10);

    for (size_t i = 0; n > 0 && i < sizeof units / sizeof units[0]; i++)
        if (*end == units[i].unit)
            return (uint64_t)n * units[i].seconds;
    return 0;
}

/* Applies one setting. As in the broker, the last of several wins; but a setting that can be
 * set per listener counts wherever it appears. */
static void take_setting(struct broker_config *config, const char *key, const char *value)
{
    if (broker_config_is(key, "per_listener_settings"))
        config->per_listener_settings = is_true(value);
    else if (broker_config_is(key, "persistence"))
        config->persistence = is_true(value);
    else if (broker_config_is(key, "queue_qos0_messages"))
        config->queue_qos0_messages = is_true(value);
    else if (broker_config_is(key, "retain_available"))
        config->retain_unavailable = !is_true(value);
    else if (broker_config_is(key, "mount_point"))
        config->mount_point = true;
    else if (broker_config_is(key, "max_queued_messages"))
        config->queue_unbounded = strtol(value, NULL, 10) == 0;
    else if (broker_config_is(key, "persistent_client_expiration"))
        config->expiration_s = seconds_of(value);
    else if (broker_config_is(key, "message_size_limit")) {
        long limit = strtol(value, NULL, 10); /* 0: none */
        config->message_limit_low = limit > 0 && limit < REACTION_PAYLOAD_MAX_BYTES;
    } else if ((broker_config_is(key, "auto_id_prefix") ||
                broker_config_is(key, "listener_auto_id_prefix")) &&
               strncmp(value, "auto-", strlen("auto-")) != 0) {
        config->foreign_auto_id = true;
        snprintf(config->auto_id_prefix, sizeof config->auto_id_prefix, "%s", value);
    }
}

static int read_file(struct broker_config *config, const char *path, bool main_file,
                     struct error *error);

static int read_include_dir(struct broker_config *config, const char *path, struct error *error)
{
    static const char ending[] = ".conf";
    struct dirent **names;
    int result = 0;

    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        return error_set(error, "include_dir %s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX_BYTES];
        size_t bytes = strlen(names[i]->d_name);
        bool included = bytes >= sizeof ending &&
                        broker_config_is(names[i]->d_name + bytes - (sizeof ending - 1), ending);
        if (included && result == 0) {
            int needed = snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
            if (needed < 0 || (size_t)needed >= sizeof file)
                result = error_set(error, "include_dir %s: path too long", path);
            else
                result = read_file(config, file, false, error);
        }
        free(names[i]);
    }
    free(names);
    return result;
}

/* Splits "key value" like the broker: the key ends at a blank, the value is the rest of the
 * line. */
static int take_line(struct broker_config *config, char *line, bool main_file, struct error *error)
{
    size_t bytes = strlen(line);
    while (bytes > 0 && (line[bytes - 1] == '\n' || line[bytes - 1] == '\r'))
        line[--bytes] = '\0';
    line += strspn(line, " ");
    if (line[0] == '#' || line[0] == '\0')
        return 0;
    char *value = line + strcspn(line, " ");
    if (*value != '\0')
        *value++ = '\0';
    value += strspn(value, " ");
    if (broker_config_is(line, "include_dir"))
        return main_file ? read_include_dir(config, value, error) : 0;
    /* A trailing blank must not make "true " false. */
    bytes = strlen(value);
    while (bytes > 0 && value[bytes - 1] == ' ')
        value[--bytes] = '\0';
    take_setting(config, line, value);
    return 0;
}

static int read_file(struct broker_config *config, const char *path, bool main_file,
                     struct error *error)
{
    char *line = NULL;
    size_t line_bytes = 0;
    int result = 0;

    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(error, "%s: %s", path, strerror(errno));
    while (result == 0 && getline(&line, &line_bytes, file) >= 0)
        result = take_line(config, line, main_file, error);
    if (result == 0 && ferror(file))
        result = error_set(error, "%s: cannot be read", path);
    free(line);
    fclose(file);
    return result;
}

int broker_config_read(struct broker_config *config, const char *cmdline, size_t cmdline_bytes,
                       struct error *error)
{
    const char *end = cmdline + cmdline_bytes;
    bool found = false;
    bool is_file = false;

    memset(config, 0, sizeof *config);
    if (cmdline_bytes == 0 || end[-1] != '\0')
        return error_set(error, "the broker's command line cannot be read");
    for (const char *argument = cmdline; argument < end; argument += strlen(argument) + 1) {
        if (is_file) {
            if (read_file(config, argument, true, error) != 0)
                return -1;
            found = true;
        }
        is_file = !is_file &&
                  (broker_config_is(argument, "-c") || broker_config_is(argument, "--config-file"));
    }
    config->no_expiration = config->expiration_s == 0;
    if (!found)
        return error_set(error, "the broker's command line names no configuration file");
    return 0;
}

int broker_config_read_own(struct broker_config *config, struct error *error)
{
    static const char path[] = "/proc/self/cmdline";
    char *cmdline = malloc(CMDLINE_MAX_BYTES);
    FILE *file = fopen(path, "re");
    int result;

    if (cmdline == NULL || file == NULL)
        result = error_set(error, "%s: cannot be read", path);
    else
        result =
            broker_config_read(config, cmdline, fread(cmdline, 1, CMDLINE_MAX_BYTES, file), error);
    if (file != NULL)
        fclose(file);
    free(cmdline);
    return result;
}

/* Settings with which Tally keeps its promise, at a cost. */
static void advise(const struct broker_config *config, broker_config_say_fn say, void *user)
{
    if (config->persistence)
        say(user, false,
            "persistence true: after a restart the broker brings old totals back until the feed "
            "has published all again, and what operators wrote to articles/ before they closed "
            "one; false is advised");
    if (config->queue_qos0_messages)
        say(user, false,
            "queue_qos0_messages true: totals and receipts queue up for clients that are away; "
            "false is advised");
    if (config->queue_unbounded)
        say(user, false,
            "max_queued_messages 0: some versions of the broker drop packets then; 100000 is "
            "advised");
    if (config->no_expiration)
        say(user, false,
            "persistent_client_expiration is missing: sessions that clients leave behind are kept "
            "for ever, with the memory that they take; 1h is advised");
    if (config->message_limit_low)
        say(user, false,
            "message_size_limit under 512: the broker refuses reactions before they are judged; "
            "65536 is advised");
    if (config->mount_point)
        say(user, false,
            "mount_point: topics of that listener are Tally's only where it agrees with "
            "plugin_opt_topic_prefix");
}

int broker_config_judge(const struct broker_config *config, bool auto_id_may_react,
                        broker_config_say_fn say, void *user)
{
    int fatal = 0;
    char sentence[512];

    if (config->per_listener_settings) {
        say(user, true,
            "per_listener_settings true: a listener without this plugin would acknowledge "
            "reactions that nobody counts; set it to false, or leave it out");
        fatal++;
    }
    if (config->foreign_auto_id && !auto_id_may_react) {
        snprintf(sentence, sizeof sentence,
                 "auto_id_prefix %s: ids that the broker made could not be told from readers' own; "
                 "it must begin with auto-, or plugin_opt_auto_id_may_react be on",
                 config->auto_id_prefix);
        say(user, true, sentence);
        fatal++;
    }
    if (config->retain_unavailable) {
        say(user, true, "retain_available false: totals are retained messages; set it to true");
        fatal++;
    }
    advise(config, say, user);
    return fatal;
}
