/* The file `edge` of a spool (FORMATS.md 4.1). It is made once and mapped by producer and consumer.
 * It holds the locks, the flags between the two sides, and the producer's counters. One thread per
 * side. Each field has one writing side, except `asleep`. */
#ifndef TALLY_SPOOL_SPOOL_EDGE_H
#define TALLY_SPOOL_SPOOL_EDGE_H

#include "core/error.h"
#include "core/reason.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOOL_EDGE_BYTES 4096u
#define SPOOL_EDGE_SHARDS_MAX 64u

enum spool_edge_side { SPOOL_EDGE_PRODUCER = 0, SPOOL_EDGE_CONSUMER = 1 }; /* the locked byte */

struct spool_edge {
    int fd; /* -1: not open */
    unsigned char *memory;
    uint64_t id;
    uint32_t shards;
};

/* Makes the file, whole or not at all, if it is absent. `id` (not 0) becomes its id. It is not an
 * error if another process makes it at the same time. Returns 0, or -1 with `error`. */
int spool_edge_make(int dir_fd, uint32_t shards, uint64_t id, struct error *error);

/* Opens and maps it. Returns 0, or -1 with `error` and errno (ENOENT: absent; EINVAL: damaged).
 * Close with spool_edge_close. */
int spool_edge_open(struct spool_edge *edge, int dir_fd, struct error *error);
void spool_edge_close(struct spool_edge *edge); /* also unlocks */

/* The same, read-only. Do not call functions that write or lock. */
int spool_edge_look(struct spool_edge *edge, int dir_fd, struct error *error);

/* Locks a side's byte for as long as the file is open. Returns 0, or -1 with errno (EAGAIN or
 * EACCES: another process has it). */
int spool_edge_lock(const struct spool_edge *edge, enum spool_edge_side side);

/* Whether another open spool holds the side's lock. */
bool spool_edge_locked(const struct spool_edge *edge, enum spool_edge_side side);

/* The generation of a shard's ring. The producer raises it after it has put another file at
 * ring-<shard>. */
uint32_t spool_edge_generation(const struct spool_edge *edge, uint32_t shard);
void spool_edge_raise_generation(struct spool_edge *edge, uint32_t shard);

/* The consumer sets whether it is about to sleep (sequentially consistent). */
void spool_edge_set_asleep(struct spool_edge *edge, bool asleep);

/* Whether the consumer is asleep (sequentially consistent). If so, clears the flag, and the caller
 * must wake it. */
bool spool_edge_take_asleep(struct spool_edge *edge);

bool spool_edge_clock_bad(const struct spool_edge *edge);
void spool_edge_set_clock_bad(struct spool_edge *edge, bool bad);

uint64_t *spool_edge_last_stamp(struct spool_edge *edge);
uint64_t *spool_edge_late_counter(struct spool_edge *edge);

/* The producer counts a reaction after appending it, and may be killed between the two steps. So it
 * notes the counter's value beside the contents of the rings whenever the contents change: `rings`
 * is the XOR of the current rings' ids, and `in_rings` is how many records they have ever held. A
 * producer that continues the same rings can then tell whether one record was appended and not
 * counted. */
void spool_edge_note_rings(struct spool_edge *edge, uint64_t rings, uint64_t in_rings);
bool spool_edge_one_uncounted(const struct spool_edge *edge, uint64_t rings, uint64_t in_rings);

/* Counters that only the producer raises. */
uint64_t *spool_edge_admitted(const struct spool_edge *edge);
uint64_t *spool_edge_refused(const struct spool_edge *edge, enum reason reason);
uint64_t *spool_edge_receipts_dropped(const struct spool_edge *edge);
void spool_edge_count(uint64_t *counter);
uint64_t spool_edge_counted(const uint64_t *counter);

#endif
