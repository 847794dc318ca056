/* tally.conf as the programs of a deployment read it: each section by its program's own table of
 * options. One thread. */
#ifndef TALLY_CLI_DOCTOR_FILE_H
#define TALLY_CLI_DOCTOR_FILE_H

#include "broker_options.h"
#include "doctor_report.h"

#include "daemon/links.h"

#include <stdint.h>

enum doctor_program {
    DOCTOR_MOSQUITTO,
    DOCTOR_BROKER,
    DOCTOR_COLLECTOR,
    DOCTOR_FEED,
    DOCTOR_PROGRAMS
};

struct doctor_file;

/* Reads the file, and the variables that override it (core/config.h); a path of "" means without a
 * file. Reports each mistake, and options of two programs that disagree. NULL, and a finding, if
 * the file cannot be read. */
struct doctor_file *doctor_file_read(const char *path, char *const *environment,
                                     struct doctor_report *report);
void doctor_file_free(struct doctor_file *file);

/* The program's value of an option, with its default; NULL if the program does not have it, or its
 * options have a mistake. Valid until doctor_file_free, as all that follow. */
const char *doctor_file_value(const struct doctor_file *file, enum doctor_program program,
                              const char *option);
/* Whether its switch is on. */
bool doctor_file_on(const struct doctor_file *file, enum doctor_program program,
                    const char *option);
/* That of the first program that has the option, in the order of the enum from the end. */
const char *doctor_file_any(const struct doctor_file *file, const char *option);
/* A number of doctor_file_any; 0 if there is none. */
uint64_t doctor_file_number(const struct doctor_file *file, const char *option);

/* The folder of Mosquitto's further listeners; "" none. Where tally.conf names none, it is
 * Debian's, if Debian's broker reads what tally.conf makes. */
const char *doctor_file_include_dir(const struct doctor_file *file);

/* What edges must have alike; NULL after a mistake. */
const struct broker_options *doctor_file_broker(const struct doctor_file *file);

/* How the collector reaches Redis and the broker, or the feed if the collector's options have a
 * mistake. Returns 0, or -1 if both have. */
int doctor_file_links(const struct doctor_file *file, struct links *links);

#endif
