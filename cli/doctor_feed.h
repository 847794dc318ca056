/* Asks the feed for its health and its version. One thread. */
#ifndef TALLY_CLI_DOCTOR_FEED_H
#define TALLY_CLI_DOCTOR_FEED_H

#include "doctor_file.h"
#include "doctor_report.h"

void doctor_feed_check(const struct doctor_file *file, struct doctor_report *report);

/* Judges the answer to /healthz: its status, and its body with a NUL. Pure. */
void doctor_feed_health(struct doctor_report *report, int status, const char *body);

/* Judges the answer to /metrics: the version of tally_build_info. Pure. */
void doctor_feed_version(struct doctor_report *report, const char *body);

#endif
