/* Runs one group of checks after the other; each is a module. */
#include "doctor.h"

#include "command.h"
#include "doctor_broker.h"
#include "doctor_disk.h"
#include "doctor_feed.h"
#include "doctor_file.h"
#include "doctor_ports.h"
#include "doctor_reach.h"
#include "doctor_redis.h"
#include "doctor_report.h"
#include "doctor_secrets.h"
#include "doctor_tls.h"

#include "core/config.h"
#include "core/option.h"
#include "daemon/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct doctor_settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    bool json;
};

/* Its own options come from the command line alone: the file may have mistakes. */
static const struct option doctor_table[] = {
    CONFIG_OPTION(offsetof(struct doctor_settings, config)),
    {"json", OPTION_SWITCH, offsetof(struct doctor_settings, json), 0, 0, "off", "on or off",
     "the findings as one JSON object"},
};
#define TABLE_N (sizeof doctor_table / sizeof doctor_table[0])

/* As core/config.h finds it. */
static const char *path_of(const struct doctor_settings *settings, int argc, char **argv)
{
    const char *variable = getenv("TALLY_CONFIG");
    return option_given(argc, argv, "config") || variable == NULL ? settings->config : variable;
}

static void doctor_look(const struct doctor_file *file, struct doctor_report *report)
{
    struct doctor_ports found;
    doctor_secrets_check(file, report);
    doctor_ports_check(file, report, &found);
    if (found.mqtt)
        doctor_broker_check(file, report);
    if (found.http)
        doctor_feed_check(file, report);
    doctor_redis_check(file, report);
    doctor_tls_check(file, report);
    doctor_reach_check(file, report);
    doctor_disk_check(file, report);
}

static int doctor_perform(const struct doctor_settings *settings, const char *path)
{
    struct doctor_report *report = doctor_report_new(stdout, settings->json);
    if (report == NULL || sodium_init() < 0) {
        fprintf(stderr, "tally doctor: no memory, or libsodium cannot start\n");
        doctor_report_free(report);
        return COMMAND_FAILED;
    }
    struct doctor_file *file = doctor_file_read(path, environ, report);
    if (file != NULL)
        doctor_look(file, report);
    doctor_file_free(file);
    int status = doctor_report_status(report);
    if (doctor_report_end(report) != 0 || fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tally doctor: cannot write everything to standard output\n");
        status = COMMAND_FAILED;
    }
    doctor_report_free(report);
    return status;
}

int doctor_run(int argc, char **argv)
{
    static struct doctor_settings settings; /* large */
    struct error error;
    int help = 0;
    int rc = option_parse(doctor_table, TABLE_N, &settings, argc, argv, &help, &error);
    if (rc == 1 && help == 'v')
        puts("tally " TALLY_VERSION);
    else if (rc == 1)
        option_print(doctor_table, TABLE_N, stdout);
    if (rc == 1)
        return COMMAND_DONE;
    if (rc != 0) {
        fprintf(stderr, "tally doctor: %s\n", error.text);
        return COMMAND_FAILED;
    }
    log_init("tally", LOG_LEVEL_ERROR);
    return doctor_perform(&settings, path_of(&settings, argc, argv));
}
