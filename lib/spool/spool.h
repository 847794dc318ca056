/* The spool as files (FORMATS.md 4): a directory with its edge file, rings, locks and the wake-up
 * FIFO. This is what both sides have. spool_producer.h and spool_consumer.h open it; ring.h handles
 * the contents of a ring. Not shared between threads. */
#ifndef TALLY_SPOOL_SPOOL_H
#define TALLY_SPOOL_SPOOL_H

#include "core/reason.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOOL_SHARDS_MAX 64
#define SPOOL_OLD_MAX 4
#define SPOOL_PATH_MAX_BYTES 512

struct spool; /* one side's open spool */

uint64_t spool_id(const struct spool *spool);
uint32_t spool_shards(const struct spool *spool);
uint64_t spool_admitted(const struct spool *spool);
uint64_t spool_refused(const struct spool *spool, enum reason reason);
uint64_t spool_receipts_dropped(const struct spool *spool);
bool spool_clock_bad(const struct spool *spool);

/* The spool's file system: "ext4", "tmpfs", "overlayfs", …. *safe is false for NFS and
 * copy-on-write file systems, *survives_reboot false for tmpfs. Nothing is promised for an
 * "unknown" one. */
const char *spool_file_system(const char *path, bool *safe, bool *survives_reboot);

void spool_free(struct spool *spool); /* unlocks, unmaps; NULL is fine */

#endif
