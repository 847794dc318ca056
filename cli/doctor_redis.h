/* Looks at Redis as the collector's user: each node's version, settings, memory and clock, the
 * cluster, and the store against the edge's options. One thread; blocks while a node is away, for
 * STORE_NODES_WAIT_MS. */
#ifndef TALLY_CLI_DOCTOR_REDIS_H
#define TALLY_CLI_DOCTOR_REDIS_H

#include "doctor_file.h"
#include "doctor_report.h"
#include "server_info.h"

void doctor_redis_check(const struct doctor_file *file, struct doctor_report *report);

/* Each judges what a node says. Pure. `fsync` is the value of appendfsync; `durability` the
 * collector's option. */
void doctor_redis_version(struct doctor_report *report, const char *node,
                          const struct server_info_version *version);
void doctor_redis_memory(struct doctor_report *report, const char *node,
                         const struct server_info_memory *memory);
void doctor_redis_fsync(struct doctor_report *report, const char *node, const char *fsync,
                        const char *durability);

#endif
