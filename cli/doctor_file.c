/* Each program's options are merged as that program merges them (core/config.h), and then given to
 * its own parser. */
#include "doctor_file.h"

#include "mosquitto_conf.h"

#include "collector_settings.h"
#include "core/config.h"
#include "feed_settings.h"
#include "settings.h" /* the plugin's */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Debian's broker reads *.conf of this folder. */
#define DEBIAN_FOLDER "/etc/mosquitto/conf.d"
#define DEBIAN_FILE DEBIAN_FOLDER "/tally.conf"

struct doctor_file {
    char named[sizeof "--config=" + OPTION_TEXT_MAX_BYTES];
    char *argv[3];
    struct config *config[DOCTOR_PROGRAMS]; /* NULL after a mistake */
    bool has_broker;
    struct broker_options broker;
};

static const char *const sections[DOCTOR_PROGRAMS] = {"mosquitto", "broker", "collector", "feed"};

struct table {
    const struct option *row;
    size_t n;
};

static struct table table_of(enum doctor_program program)
{
    switch (program) {
    case DOCTOR_MOSQUITTO:
        return (struct table){mosquitto_conf_table, mosquitto_conf_n};
    case DOCTOR_BROKER:
        return (struct table){settings_options, settings_options_n};
    case DOCTOR_COLLECTOR:
        return (struct table){collector_settings_table, collector_settings_n};
    default:
        return (struct table){feed_settings_table, feed_settings_n};
    }
}

/* --- what the tables cannot express --- */

static int check_broker(struct doctor_file *file, char *const *environment, struct error *error)
{
    static struct mosquitto_conf conf; /* large */
    int help = 0;
    if (mosquitto_conf_parse(&conf, 2, file->argv, environment, &help, error) != 0)
        return -1;
    int rc = broker_options_parse(&file->broker, conf.plugin_options, error);
    file->has_broker = rc == 0;
    mosquitto_conf_fini(&conf);
    return rc;
}

static int check_collector(struct doctor_file *file, char *const *environment, struct error *error)
{
    static struct collector_settings settings; /* large */
    int help = 0;
    return collector_settings_parse(&settings, 2, file->argv, environment, &help, error);
}

static int check_feed(struct doctor_file *file, char *const *environment, struct error *error)
{
    static struct feed_settings settings; /* large */
    int help = 0;
    return feed_settings_parse(&settings, 2, file->argv, environment, &help, error);
}

/* The listeners and the plugin's options become one file, so they are checked together. */
static int check_whole(struct doctor_file *file, enum doctor_program program,
                       char *const *environment, struct error *error)
{
    switch (program) {
    case DOCTOR_MOSQUITTO:
        return 0;
    case DOCTOR_BROKER:
        return file->config[DOCTOR_MOSQUITTO] != NULL ? check_broker(file, environment, error) : 0;
    case DOCTOR_COLLECTOR:
        return check_collector(file, environment, error);
    default:
        return check_feed(file, environment, error);
    }
}

/* --- reading --- */

static int read_program(struct doctor_file *file, enum doctor_program program,
                        char *const *environment, struct error *error)
{
    const struct table table = table_of(program);
    file->config[program] =
        config_new(table.row, table.n, sections[program], 2, file->argv, environment, error);
    if (file->config[program] == NULL)
        return -1;
    if (check_whole(file, program, environment, error) == 0)
        return 0;
    config_free(file->config[program]);
    file->config[program] = NULL;
    return -1;
}

/* A mistake that every program finds is one finding. */
static void read_programs(struct doctor_file *file, char *const *environment,
                          struct doctor_report *report)
{
    static struct error errors[DOCTOR_PROGRAMS]; /* large */
    for (int i = 0; i < DOCTOR_PROGRAMS; i++) {
        bool said = false;
        errors[i].text[0] = '\0';
        if (read_program(file, (enum doctor_program)i, environment, &errors[i]) == 0) {
            if (i == DOCTOR_BROKER && file->config[DOCTOR_MOSQUITTO] == NULL)
                doctor_report_unseen(report, "file", "options of [broker]: mend [mosquitto] first");
            else
                doctor_report_add(report, DOCTOR_OK, "file", "options of [%s]", sections[i]);
            continue;
        }
        for (int j = 0; j < i; j++)
            said = said || strcmp(errors[i].text, errors[j].text) == 0;
        if (!said)
            doctor_report_add(report, DOCTOR_FAIL, "file", "%s", errors[i].text);
    }
}

/* Two paths may lead to one file. */
static bool same_inode(const char *one, const char *other)
{
    struct stat here, there;
    return one[0] == '/' && other[0] == '/' && stat(one, &here) == 0 && stat(other, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Two programs that must agree on an option. */
static void compare_option(const struct doctor_file *file, enum doctor_sign sign,
                           const char *option, enum doctor_program one, enum doctor_program other,
                           struct doctor_report *report)
{
    const char *here = doctor_file_value(file, one, option),
               *there = doctor_file_value(file, other, option);
    if (here != NULL && there != NULL && strcmp(here, there) != 0 && !same_inode(here, there))
        doctor_report_add(report, sign, "file",
                          "%s: [%s] has \"%s\", [%s] has \"%s\": set it once, in [common]", option,
                          sections[one], here, sections[other], there);
}

static void compare_options(const struct doctor_file *file, struct doctor_report *report)
{
    static const struct {
        enum doctor_sign sign; /* a warning where two values may mean one thing */
        const char *option;
        enum doctor_program one, other;
    } pairs[] = {{DOCTOR_FAIL, "spool", DOCTOR_BROKER, DOCTOR_COLLECTOR},
                 {DOCTOR_FAIL, "topic_prefix", DOCTOR_BROKER, DOCTOR_COLLECTOR},
                 {DOCTOR_FAIL, "topic_prefix", DOCTOR_BROKER, DOCTOR_FEED},
                 {DOCTOR_FAIL, "redis_prefix", DOCTOR_COLLECTOR, DOCTOR_FEED},
                 {DOCTOR_WARN, "services_file", DOCTOR_BROKER, DOCTOR_COLLECTOR},
                 {DOCTOR_WARN, "services_file", DOCTOR_BROKER, DOCTOR_FEED},
                 {DOCTOR_WARN, "redis_url", DOCTOR_COLLECTOR, DOCTOR_FEED},
                 {DOCTOR_WARN, "redis_host", DOCTOR_COLLECTOR, DOCTOR_FEED},
                 {DOCTOR_WARN, "redis_port", DOCTOR_COLLECTOR, DOCTOR_FEED},
                 {DOCTOR_WARN, "mqtt_port", DOCTOR_MOSQUITTO, DOCTOR_COLLECTOR},
                 {DOCTOR_WARN, "mqtt_port", DOCTOR_MOSQUITTO, DOCTOR_FEED}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        compare_option(file, pairs[i].sign, pairs[i].option, pairs[i].one, pairs[i].other, report);
}

/* The programs do what the file says. */
static void judge_mode(const char *path, FILE *file, struct doctor_report *report)
{
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && status.st_mode & 002)
        doctor_report_add(report, DOCTOR_FAIL, "file",
                          "%s: mode %04o lets anyone write it: chmod o-w it", path,
                          (unsigned)status.st_mode & 07777);
}

struct doctor_file *doctor_file_read(const char *path, char *const *environment,
                                     struct doctor_report *report)
{
    FILE *there = path[0] != '\0' ? fopen(path, "re") : NULL;
    if (path[0] != '\0' && there == NULL) {
        doctor_report_unseen(report, "file", "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (there != NULL) {
        judge_mode(path, there, report);
        (void)fclose(there);
    }
    struct doctor_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        doctor_report_unseen(report, "file", "no memory");
        return NULL;
    }
    (void)snprintf(file->named, sizeof file->named, "--config=%.*s", OPTION_TEXT_MAX_BYTES, path);
    file->argv[0] = (char *)(uintptr_t) "doctor"; /* nothing writes into it */
    file->argv[1] = file->named;
    read_programs(file, environment, report);
    compare_options(file, report);
    return file;
}

void doctor_file_free(struct doctor_file *file)
{
    if (file == NULL)
        return;
    for (int i = 0; i < DOCTOR_PROGRAMS; i++)
        config_free(file->config[i]);
    free(file);
}

/* --- asking --- */

const char *doctor_file_value(const struct doctor_file *file, enum doctor_program program,
                              const char *option)
{
    const struct table table = table_of(program);
    const struct config *config = file->config[program];
    size_t row = 0;
    while (row < table.n && strcmp(table.row[row].name, option) != 0)
        row++;
    if (config == NULL || row == table.n)
        return NULL;
    const char *value = option_argument(config_argc(config), config_argv(config), option);
    if (value != NULL)
        return value;
    return table.row[row].initial != NULL ? table.row[row].initial : "";
}

bool doctor_file_on(const struct doctor_file *file, enum doctor_program program, const char *option)
{
    const char *value = doctor_file_value(file, program, option);
    return value != NULL &&
           (strcmp(value, "on") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

const char *doctor_file_any(const struct doctor_file *file, const char *option)
{
    const char *value = NULL;
    for (int i = DOCTOR_PROGRAMS - 1; i >= 0 && value == NULL; i--)
        value = doctor_file_value(file, (enum doctor_program)i, option);
    return value;
}

uint64_t doctor_file_number(const struct doctor_file *file, const char *option)
{
    const char *value = doctor_file_any(file, option);
    return value != NULL ? strtoull(value, NULL, 10) : 0;
}

const char *doctor_file_include_dir(const struct doctor_file *file)
{
    struct stat status;
    const char *folder = doctor_file_value(file, DOCTOR_MOSQUITTO, "include_dir");
    if (folder != NULL && folder[0] != '\0')
        return folder;
    return folder != NULL && stat(DEBIAN_FILE, &status) == 0 ? DEBIAN_FOLDER : "";
}

const struct broker_options *doctor_file_broker(const struct doctor_file *file)
{
    return file->has_broker ? &file->broker : NULL;
}

int doctor_file_links(const struct doctor_file *file, struct links *links)
{
    static const struct option table[] = {LINKS_OPTIONS(0, "")};
    enum { ROWS = sizeof table / sizeof table[0] };
    bool given[ROWS] = {false};
    struct error error;
    enum doctor_program program =
        file->config[DOCTOR_COLLECTOR] != NULL ? DOCTOR_COLLECTOR : DOCTOR_FEED;
    memset(links, 0, sizeof *links);
    for (size_t i = 0; i < ROWS; i++) {
        const char *value = doctor_file_value(file, program, table[i].name);
        if (value == NULL ||
            option_set(table, ROWS, links, given, table[i].name, value, &error) != 0)
            return -1;
    }
    return 0;
}
