/* The consumer's side of a spool (the collector). One thread. */
#ifndef TALLY_SPOOL_SPOOL_CONSUMER_H
#define TALLY_SPOOL_SPOOL_CONSUMER_H

#include "core/error.h"
#include "core/record.h"
#include "spool/ring.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

/* Opens an existing spool as its consumer and locks byte 1. Returns NULL with a sentence in `error`
 * if it is absent or locked. *retry says whether waiting may help (it does not exist yet). */
struct spool *spool_consumer_open(const char *path, bool *retry, struct error *error);

/* Maps the shard's current ring, or maps it again if its generation changed. `*identity` is its
 * header. Returns 1 when it is a different ring from the last call, 0 when it is the same, and -1
 * if it is missing or damaged (sentence in `error`). After 1 or -1 the memory of the former ring is
 * unmapped and views into it are invalid. Records that were not taken from it are in one of the old
 * rings. */
int spool_consumer_ring(struct spool *spool, uint32_t shard, void **memory, uint64_t *bytes,
                        struct ring_identity *identity, struct error *error);

/* Makes the next spool_consumer_ring look for the shard's ring again, although its generation did
 * not change, because it could not be opened for a reason that may pass. */
void spool_consumer_look_again(struct spool *spool, uint32_t shard);

/* Whether the shard's ring has been replaced since it was last looked for, or has never been looked
 * for (one load; no system call). The producer renames first and raises the generation afterwards.
 * So for a moment the ring mapped here may already be listed as an old one with the same id. It is
 * never written again. */
bool spool_consumer_ring_replaced(const struct spool *spool, uint32_t shard);

struct spool_consumer_old {
    uint32_t shard;
    uint64_t name_id; /* in its name. Its header may hold another (ring_file_retire) */
    char path[SPOOL_PATH_MAX_BYTES];
};

/* Lists up to `max` old rings. Returns how many, or -1. */
int spool_consumer_list_old(struct spool *spool, struct spool_consumer_old *out, int max);

/* Maps an old ring read-write. Unmap with spool_consumer_unmap_old, delete with
 * spool_consumer_delete_old. Returns 0; -1 with `error` if its size is not a ring's; 1 with `error`
 * if it cannot be mapped now. Use ring_identify to check its header. */
int spool_consumer_map_old(const struct spool_consumer_old *old, void **memory, uint64_t *bytes,
                           struct error *error);
void spool_consumer_unmap_old(void *memory, uint64_t bytes);
int spool_consumer_delete_old(const struct spool_consumer_old *old);

/* Puts aside an old ring that cannot be drained (not mapped, not identified), so that it no longer
 * counts as an old one. Renames it to `bad-<shard>-<ring id>`. Four of these are kept per shard for
 * inspection; beyond that the ring is deleted. Returns 0 if it was renamed, 1 if it was deleted, -1
 * if neither worked. */
int spool_consumer_put_away(struct spool *spool, const struct spool_consumer_old *old);

/* Whether some process holds the producer's lock. */
bool spool_consumer_has_producer(struct spool *spool);

/* The FIFO to poll for reading (O_NONBLOCK; it never reports end-of-file). Drain it with
 * spool_consumer_wake_clear. */
int spool_consumer_wake_fd(const struct spool *spool);
void spool_consumer_wake_clear(struct spool *spool);

/* Says that the consumer is about to sleep (sequentially consistent). The consumer must then check
 * every write position once more before it sleeps, and call spool_consumer_awake if it found
 * something or was woken. */
void spool_consumer_asleep(struct spool *spool);
void spool_consumer_awake(struct spool *spool);

/* Appends a line to `quarantine`, up to its bound of 1 MiB: the record in hex (as in a ring with id
 * 0), a space, `why`. Returns 0; 1 if the file already has the record (a repeat, perhaps after a
 * crash: nothing is written); -1 if it is full or fails. Reads the whole file. */
int spool_consumer_quarantine(struct spool *spool, const struct record *record, const char *why);

/* Tells the producer that the clocks differ too much. */
void spool_consumer_set_clock_bad(struct spool *spool, bool bad);

#endif
