/* A ring takes all of its space when it is made. A ring that is replaced stays until it is applied,
 * beside its successor. */
#include "doctor_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define BLOCK_BYTES 512 /* of st_blocks */
#define MIB (1024 * 1024)

void doctor_disk_judge(struct doctor_report *report, const char *path, uint64_t free_bytes,
                       uint64_t shards, uint64_t ring_bytes, uint64_t taken_bytes)
{
    const uint64_t wanted_bytes = shards * ring_bytes;
    const uint64_t missing_bytes = wanted_bytes > taken_bytes ? wanted_bytes - taken_bytes : 0;
    const enum doctor_sign sign = free_bytes < missing_bytes                ? DOCTOR_FAIL
                                  : free_bytes < missing_bytes + ring_bytes ? DOCTOR_WARN
                                                                            : DOCTOR_OK;
    doctor_report_add(report, sign, "disk",
                      "%s: %" PRIu64 " MiB free; %" PRIu64 " rings of %" PRIu64 " MiB, %" PRIu64
                      " MiB of them not yet allocated%s",
                      path, free_bytes / MIB, shards, ring_bytes / MIB, missing_bytes / MIB,
                      sign == DOCTOR_FAIL   ? ": the broker cannot make them: make room, or lower "
                                              "ring_bytes"
                      : sign == DOCTOR_WARN ? ": a ring that is replaced needs room for another one"
                                            : "");
}

/* What the rings take on the disk. */
static uint64_t taken_by_rings(const char *path, uint64_t shards)
{
    uint64_t bytes = 0;
    for (uint64_t shard = 0; shard < shards; shard++) {
        char ring[OPTION_TEXT_MAX_BYTES + 32];
        struct stat status;
        (void)snprintf(ring, sizeof ring, "%s/ring-%" PRIu64, path, shard);
        if (stat(ring, &status) == 0)
            bytes += (uint64_t)status.st_blocks * BLOCK_BYTES;
    }
    return bytes;
}

void doctor_disk_check(const struct doctor_file *file, struct doctor_report *report)
{
    struct statvfs disk;
    const char *path = doctor_file_any(file, "spool");
    const uint64_t shards = doctor_file_number(file, "shards"),
                   ring_bytes = doctor_file_number(file, "ring_bytes");
    if (path == NULL || shards == 0 || ring_bytes == 0)
        return;
    if (statvfs(path, &disk) != 0) {
        if (errno != ENOENT) /* doctor_secrets reports its absence */
            doctor_report_unseen(report, "disk", "%s: %s", path, strerror(errno));
        return;
    }
    doctor_disk_judge(report, path, (uint64_t)disk.f_bavail * disk.f_frsize, shards, ring_bytes,
                      taken_by_rings(path, shards));
}
