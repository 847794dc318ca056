/* One ring to be taken from: the current one of a shard, which the plugin goes on writing, or an
 * old one that is drained. One thread. */
#ifndef TALLY_COLLECTOR_SOURCE_H
#define TALLY_COLLECTOR_SOURCE_H

#include "apply.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

/* A mapped ring; `memory` stays the caller's and must hold as long as the source and all views.
 * NULL with a sentence in `error`: damaged, or no memory. */
struct source *source_new(void *memory, uint64_t bytes, const struct spool_identity *identity,
                          bool old, char *error, size_t error_bytes);
void source_free(struct source *source);

void *source_memory(const struct source *source);
const struct spool_identity *source_identity(const struct source *source);

/* An old ring: finds its whole records, once (this reads all of it). 0, or -1 for no memory. */
int source_scan(struct source *source);
uint64_t source_damaged(const struct source *source); /* after source_scan */

/* What apply_rule wants to know. */
struct apply_ring source_ring(const struct source *source);

/* Goes to a record's beginning, or the end. Returns 0; -1 where no record begins there: an old ring
 * then stands at its oldest record. */
int source_seek(struct source *source, uint64_t position);

/* The next record: 1; 0 all was taken; -1 damage. */
int source_next(struct source *source, struct record *out);

/* Gives back the record taken last. */
void source_back(struct source *source, const struct record *record);

/* The outcomes of everything before this point of the ring were heard of: whoever asks Redis for
 * its position in this process goes on there. */
void source_heard(struct source *source, struct take_point point);

/* … and their receipts are gone: whoever opens the ring goes on there, and what lies before it may
 * be overwritten one day. */
void source_acknowledge(struct source *source, struct take_point point);

/* Bytes not taken yet. */
uint64_t source_backlog_bytes(const struct source *source);

/* Records and bytes that are not acknowledged yet. The records of a current ring are counted as
 * they come, 100,000 at one look; those of an old one are known once it was scanned. */
void source_waiting(struct source *source, uint64_t *records, uint64_t *bytes);

#endif
