/* The spool as files: the directory, its edge file, rings, locks and the wake-up FIFO (FORMATS.md
 * 4). spool.h handles the rings' contents. */
#ifndef TALLY_SPOOL_SPOOL_FILE_H
#define TALLY_SPOOL_SPOOL_FILE_H

#include "core/reason.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_SHARDS_MAX 64
#define SPOOL_OLD_MAX 4
#define SPOOL_PATH_MAX_BYTES 512

struct spool_dir; /* one side's open spool; not shared between threads */

/* --- the producer's side --- */

/* The rings the producer wants. */
struct spool_dir_want {
    uint32_t shards;
    uint64_t ring_bytes; /* capacity of each */
    struct kind_table kinds;
    unsigned char fingerprint[SPOOL_FINGERPRINT_BYTES];
};

/* Opens the spool as its producer, and makes it if it is absent (directory 0770, files 0660). Locks
 * byte 0 of `edge`, makes the FIFO, and continues each ring, or renames it and starts another (with
 * all of its space allocated). Returns the spool, or NULL with a clear sentence in `error`: cannot
 * be written, locked by another process, a different number of shards, not enough space. A shard
 * that already has SPOOL_OLD_MAX old rings gets no ring (it is busy); spool_dir_tend tries it
 * again. */
struct spool_dir *spool_dir_produce(const char *path, const struct spool_dir_want *want,
                                    char *error, size_t error_bytes);

/* The shard's ring, or NULL while it is missing. */
struct spool_producer *spool_dir_producer(struct spool_dir *dir, uint32_t shard);

/* Call after appends. Wakes the collector if it is asleep, with one non-blocking write. */
void spool_dir_wake(struct spool_dir *dir);

/* Housekeeping, outside the path of reactions. Starts another ring where one was asked for or is
 * missing, and populates pages ahead of the write positions. `note` receives sentences for the log
 * (empty if there is nothing to report). A lasting condition is reported once. */
void spool_dir_tend(struct spool_dir *dir, char *note, size_t note_bytes);

/* --- the consumer's side --- */

/* Opens an existing spool as its consumer and locks byte 1. Returns NULL with a sentence in `error`
 * if it is absent or locked. *retry says whether waiting may help (it does not exist yet). */
struct spool_dir *spool_dir_consume(const char *path, bool *retry, char *error, size_t error_bytes);

/* Maps the shard's current ring, or maps it again if its generation changed. `*identity` is its
 * header. Returns 1 when it is a different ring from the last call, 0 when it is the same, and -1
 * if it is missing or damaged (sentence in `error`). After 1 or -1 the memory of the former ring is
 * unmapped and views into it are invalid. Records that were not taken from it are in one of the old
 * rings. */
int spool_dir_ring(struct spool_dir *dir, uint32_t shard, void **memory, uint64_t *bytes,
                   struct spool_identity *identity, char *error, size_t error_bytes);

/* Makes the next spool_dir_ring look for the shard's ring again, although its generation did not
 * change, because it could not be opened for a reason that may pass. */
void spool_dir_look_again(struct spool_dir *dir, uint32_t shard);

/* Whether the shard's ring has been replaced since it was last looked for, or has never been looked
 * for (one load; no system call). The producer renames first and raises the generation afterwards.
 * So for a moment the ring mapped here may already be listed as an old one with the same id. It is
 * never written again. */
bool spool_dir_ring_replaced(const struct spool_dir *dir, uint32_t shard);

struct spool_old {
    uint32_t shard;
    uint64_t ring_id;
    char path[SPOOL_PATH_MAX_BYTES];
};

/* Lists up to `max` old rings. Returns how many, or -1. */
int spool_dir_list_old(struct spool_dir *dir, struct spool_old *out, int max);

/* Maps an old ring read-write. Unmap with spool_old_unmap, delete with spool_old_delete. Returns 0;
 * -1 with `error` if its size is not a ring's; 1 with `error` if it cannot be mapped now. Use
 * spool_identify to check its header. */
int spool_old_map(const struct spool_old *old, void **memory, uint64_t *bytes, char *error,
                  size_t error_bytes);
void spool_old_unmap(void *memory, uint64_t bytes);
int spool_old_delete(const struct spool_old *old);

/* Puts aside an old ring that cannot be drained (not mapped, not identified), so that it no longer
 * counts as an old one. Renames it to `bad-<shard>-<ring id>`. Four of these are kept per shard for
 * inspection; beyond that the ring is deleted. Returns 0 if it was renamed, 1 if it was deleted, -1
 * if neither worked. */
int spool_dir_put_away(struct spool_dir *dir, const struct spool_old *old);

/* Whether some process holds the producer's lock. */
bool spool_dir_has_producer(struct spool_dir *dir);

/* The FIFO to poll for reading (O_NONBLOCK; it never reports end-of-file). Drain it with
 * spool_dir_wake_clear. */
int spool_dir_wake_fd(const struct spool_dir *dir);
void spool_dir_wake_clear(struct spool_dir *dir);

/* Says that the consumer is about to sleep (sequentially consistent). The consumer must then check
 * every write position once more before it sleeps, and call spool_dir_awake if it found something
 * or was woken. */
void spool_dir_asleep(struct spool_dir *dir);
void spool_dir_awake(struct spool_dir *dir);

/* Appends a line to `quarantine`, up to its bound of 1 MiB: the record in hex (as in a ring with id
 * 0), a space, `why`. Returns 0; 1 if the file already has the record (a repeat, perhaps after a
 * crash: nothing is written); -1 if it is full or fails. Reads the whole file. */
int spool_dir_quarantine(struct spool_dir *dir, const struct record *record, const char *why);

/* --- both sides: the contents of `edge` --- */
uint64_t spool_dir_edge_id(const struct spool_dir *dir);
uint32_t spool_dir_shards(const struct spool_dir *dir);
uint64_t *spool_dir_last_stamp(struct spool_dir *dir);                   /* producer only */
uint64_t *spool_dir_late_counter(struct spool_dir *dir);                 /* producer only */
void spool_dir_count_admitted(struct spool_dir *dir);                    /* producer only */
void spool_dir_count_refused(struct spool_dir *dir, enum reason reason); /* producer only */
void spool_dir_count_receipt_dropped(struct spool_dir *dir);             /* producer only */
uint64_t spool_dir_admitted(const struct spool_dir *dir);
uint64_t spool_dir_refused(const struct spool_dir *dir, enum reason reason);
uint64_t spool_dir_receipts_dropped(const struct spool_dir *dir);
bool spool_dir_clock_bad(const struct spool_dir *dir);
void spool_dir_set_clock_bad(struct spool_dir *dir, bool bad); /* consumer only */

/* The spool's file system: "ext4", "tmpfs", "overlayfs", …. *safe is false for NFS and
 * copy-on-write file systems, *survives_reboot false for tmpfs. Nothing is promised for an
 * "unknown" one. */
const char *spool_dir_file_system(const char *path, bool *safe, bool *survives_reboot);

void spool_dir_free(struct spool_dir *dir); /* unlocks, unmaps; NULL is fine */

#endif
