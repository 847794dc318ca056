/* What `tally doctor` found: a line a finding as it comes, or one JSON object at the end. No
 * finding has a secret. One thread. */
#ifndef TALLY_CLI_DOCTOR_REPORT_H
#define TALLY_CLI_DOCTOR_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#define DOCTOR_REPORT_TEXT_BYTES 1024 /* of a finding; a longer one is cut */

enum doctor_sign { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_report;

/* Writes to `out`, which stays the caller's. NULL on no memory. */
struct doctor_report *doctor_report_new(FILE *out, bool json);
void doctor_report_free(struct doctor_report *report);

/* `what` is what was looked at, in a word or two, such as "spool". */
void doctor_report_add(struct doctor_report *report, enum doctor_sign sign, const char *what,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A warning that something could not be looked at. */
void doctor_report_unseen(struct doctor_report *report, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 1 if anything fails; else 2 if something could not be looked at; else 0. */
int doctor_report_status(const struct doctor_report *report);

/* Call once, at the end: writes the JSON. Returns 0, or -1 on no memory. */
int doctor_report_end(struct doctor_report *report);

#endif
