/* One ring to take from: the current one of a shard, which the plugin is still writing, or an old
 * one that is being drained. One thread. */
#ifndef TALLY_COLLECTOR_SOURCE_H
#define TALLY_COLLECTOR_SOURCE_H

#include "apply.h"
#include "spool/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

/* A mapped ring. The caller owns `memory`, which must outlive the source and all views. NULL with a
 * sentence in `error`: damaged, or no memory. */
struct source *source_new(void *memory, uint64_t bytes, const struct ring_identity *identity,
                          bool old, char *error, size_t error_bytes);
void source_free(struct source *source);

void *source_memory(const struct source *source);
const struct ring_identity *source_identity(const struct source *source);

/* An old ring: finds its whole records, once (this reads all of it). 0, or -1 for no memory. */
int source_scan(struct source *source);
uint64_t source_damaged(const struct source *source); /* after source_scan */

/* The ring as apply_rule needs it. */
struct apply_ring source_ring(const struct source *source);

/* Goes to a record's beginning, or the end. Returns 0; -1 if no record begins there: an old ring is
 * then at its oldest record. */
int source_seek(struct source *source, uint64_t position);

/* The next record: returns 1; 0 if all were taken; -1 on damage. */
int source_next(struct source *source, struct record *out);

/* Gives back the record taken last. */
void source_back(struct source *source, const struct record *record);

/* The outcomes of everything before this point of the ring are known: the next time this process
 * asks Redis for its position, it continues there. */
void source_acknowledged(struct source *source, struct batch_point point);

/* … and their receipts have been sent: the next process to open the ring continues there, and
 * everything before it may be overwritten. */
void source_release(struct source *source, struct batch_point point);

/* Bytes not taken yet. */
uint64_t source_backlog_bytes(const struct source *source);

/* The bytes that the plugin may still write: what is not released fills the rest. A record may
 * not fit although it is shorter, if it would run over the end of the ring. */
uint64_t source_room_bytes(const struct source *source);

/* Records and bytes that are not released yet. The records of a current ring are counted as
 * they arrive, 100,000 at a time; those of an old one are known once it is scanned. */
void source_waiting(struct source *source, uint64_t *records, uint64_t *bytes);

#endif
