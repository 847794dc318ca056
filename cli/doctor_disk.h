/* Whether the spool's disk has room for its rings. One thread. */
#ifndef TALLY_CLI_DOCTOR_DISK_H
#define TALLY_CLI_DOCTOR_DISK_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <stdint.h>

void doctor_disk_check(const struct doctor_file *file, struct doctor_report *report);

/* `free_bytes` on the disk; `shards` rings of `ring_bytes` are wanted, and the existing ones take
 * `taken_bytes` already. Pure. */
void doctor_disk_judge(struct doctor_report *report, const char *path, uint64_t free_bytes,
                       uint64_t shards, uint64_t ring_bytes, uint64_t taken_bytes);

#endif
