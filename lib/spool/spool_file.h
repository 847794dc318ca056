/* The spool as files: the directory, its edge file, rings, locks and the wake-up FIFO
 * (FORMATS.md 4). The rings' content is spool.h's. */
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

/* What the producer wants its rings to be. */
struct spool_dir_want {
    uint32_t shards;
    uint64_t ring_bytes; /* capacity of each */
    struct kind_table kinds;
    unsigned char fingerprint[SPOOL_FINGERPRINT_BYTES];
};

/* Opens (makes, where it is not there: directory 0770, files 0660) the spool as its producer: locks
 * byte 0 of `edge`, makes the FIFO, continues or renames and begins each ring (space is allocated
 * for all of it). Returns the spool, or NULL with a clear sentence in `error`: cannot be written,
 * locked by another, another number of shards, not enough space. A shard that already has
 * SPOOL_OLD_MAX old rings gets none (it is busy) and is tried again by spool_dir_tend. */
struct spool_dir *spool_dir_produce(const char *path, const struct spool_dir_want *want,
                                    char *error, size_t error_bytes);

/* The shard's ring, or NULL while it has none. */
struct spool_producer *spool_dir_producer(struct spool_dir *dir, uint32_t shard);

/* After appends: wakes the collector when it sleeps, by one non-blocking write. */
void spool_dir_wake(struct spool_dir *dir);

/* Housekeeping, out of the way of reactions: begins another ring where one was asked for or is
 * missing, populates pages ahead of the write positions. Sentences in `note` (empty: nothing to
 * say) for the log; what lasts is said once. */
void spool_dir_tend(struct spool_dir *dir, char *note, size_t note_bytes);

/* --- the consumer's side --- */

/* Opens an existing spool as its consumer: locks byte 1. NULL with a sentence in `error` where it
 * is not there (yet) or locked; *retry tells whether waiting may help (not there yet). */
struct spool_dir *spool_dir_consume(const char *path, bool *retry, char *error, size_t error_bytes);

/* Maps the shard's current ring (or maps it anew where its generation changed). `*identity` is its
 * header. Returns 1 when it is another ring than at the last call, 0 when it is the same, -1 where
 * there is none or it is damaged (sentence in `error`). After 1 or -1 the memory of the former ring
 * is unmapped: views into it are over; what was not taken from it stands in one of the old rings.
 */
int spool_dir_ring(struct spool_dir *dir, uint32_t shard, void **memory, uint64_t *bytes,
                   struct spool_identity *identity, char *error, size_t error_bytes);

/* Has the shard's ring be looked for anew at the next spool_dir_ring, though no generation rose: it
 * could not be opened for a reason that may pass. */
void spool_dir_look_again(struct spool_dir *dir, uint32_t shard);

/* Whether the shard's ring has been replaced since it was last looked for, or never was (one load;
 * no system call). The producer renames first and raises the generation after, so that for a moment
 * the ring that is mapped here may be listed as an old one already, by the same id: it is never
 * written again. */
bool spool_dir_ring_replaced(const struct spool_dir *dir, uint32_t shard);

struct spool_old {
    uint32_t shard;
    uint64_t ring_id;
    char path[SPOOL_PATH_MAX_BYTES];
};

/* Lists up to `max` old rings. Returns how many, or -1. */
int spool_dir_list_old(struct spool_dir *dir, struct spool_old *out, int max);

/* Maps an old ring read-write; unmap with spool_old_unmap, delete with spool_old_delete. 0; -1 with
 * `error` where it has not a ring's size; 1 with `error` where it cannot be mapped now. Whether its
 * header is whole, spool_identify says. */
int spool_old_map(const struct spool_old *old, void **memory, uint64_t *bytes, char *error,
                  size_t error_bytes);
void spool_old_unmap(void *memory, uint64_t bytes);
int spool_old_delete(const struct spool_old *old);

/* Puts an old ring that cannot be drained (not mapped, not identified) out of the way, so that it
 * does not count as an old one: renames it to `bad-<shard>-<ring id>`, of which four are kept a
 * shard for whoever wants to look; beyond that it is deleted. Returns 0 where it was renamed, 1
 * where it was deleted, -1 where neither can be done. */
int spool_dir_put_away(struct spool_dir *dir, const struct spool_old *old);

/* Whether some process holds the producer's lock. */
bool spool_dir_has_producer(struct spool_dir *dir);

/* The FIFO to poll for reading (O_NONBLOCK; it never sees end-of-file). Drain it by
 * spool_dir_wake_clear. */
int spool_dir_wake_fd(const struct spool_dir *dir);
void spool_dir_wake_clear(struct spool_dir *dir);

/* Says that the consumer is about to sleep (sequentially consistent). It must then look at every
 * write position once more before it does, and call spool_dir_awake when it found something or was
 * woken. */
void spool_dir_asleep(struct spool_dir *dir);
void spool_dir_awake(struct spool_dir *dir);

/* Appends a line to `set-aside`, up to its bound of 1 MiB: the record in hex (as of a ring with id
 * 0), a space, `why`. Returns 0; 1 where the file has the record already (a repeat, be it after a
 * crash: nothing is written); -1 where it is full or fails. Reads the whole file. */
int spool_dir_set_aside(struct spool_dir *dir, const struct record *record, const char *why);

/* --- both sides: what stands in `edge` --- */
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

/* What the file system of the spool is: "ext4", "tmpfs", "overlayfs", …; *safe is false for NFS and
 * copy-on-write ones, *survives_reboot false for tmpfs. Of an "unknown" one nothing is promised. */
const char *spool_dir_file_system(const char *path, bool *safe, bool *survives_reboot);

void spool_dir_free(struct spool_dir *dir); /* unlocks, unmaps; NULL is fine */

#endif
