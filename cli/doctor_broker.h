/* Logs in to the broker as an operator: its version, whether the plugin works, and what the
 * collector says of itself there. One thread. */
#ifndef TALLY_CLI_DOCTOR_BROKER_H
#define TALLY_CLI_DOCTOR_BROKER_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <stddef.h>
#include <stdint.h>

void doctor_broker_check(const struct doctor_file *file, struct doctor_report *report);

/* Judges "mosquitto version 2.0.11", which the source named by `from` says. Pure. */
void doctor_broker_version(struct doctor_report *report, const char *said, const char *from);

/* Judges ops/collector (INTERFACES.md 2.4), of `now_ms` since 1970; 0 bytes: it is not there. Pure.
 */
void doctor_broker_collector(struct doctor_report *report, const char *payload, size_t bytes,
                             uint64_t now_ms);

#endif
