/* A view of a spool from outside, while producer and consumer work. Mappings are read-only; it
 * takes no lock and changes no file. It shows one moment: how many reactions had been admitted, and
 * how far each ring had been written by then. One thread. */
#ifndef TALLY_SPOOL_SPOOL_VIEW_H
#define TALLY_SPOOL_SPOOL_VIEW_H

#include "core/error.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_VIEW_RINGS_MAX (SPOOL_SHARDS_MAX * (SPOOL_OLD_MAX + 1))

struct spool_view_ring {
    uint32_t shard;
    uint64_t ring_id; /* its header's; the name's if the header is damaged */
    uint64_t name_id; /* its file's, of an old ring; the header could not be read if it differs */
    bool old;
    bool damaged;      /* the header is damaged: nothing below is known */
    uint64_t write;    /* at the moment */
    uint64_t applied;  /* the collector's mark, from before that moment */
    uint64_t store_id; /* the store it was applied to; 0 none */
};

/* A ring compared with a position up to which it is said to have been applied. */
struct spool_view_rest {
    uint64_t waiting; /* whole records behind the position */
    uint64_t end;     /* sequence after the last record: the number of records ever appended */
    uint64_t missing; /* sequences that are neither before the position nor among the waiting */
    bool beyond;      /* the position is beyond the ring's last record: nothing else is known */
    bool between;     /* no record begins at the position, or the next one is damaged */
};

struct spool_view;

/* Maps edge and rings as they are now. Returns NULL with a sentence in `error` if the spool is
 * absent, cannot be read, or a ring was being replaced (*retry). */
struct spool_view *spool_view_open(const char *path, bool *retry, struct error *error);
void spool_view_free(struct spool_view *view);

uint64_t spool_view_edge_id(const struct spool_view *view);
uint32_t spool_view_shards(const struct spool_view *view);

/* Whether a broker has the spool open now, and may append to it. */
bool spool_view_has_producer(const struct spool_view *view);

/* Captures one moment: the number of admitted reactions and every current ring's write position,
 * all unchanged while they are read. Returns 0. Returns -1 if they never stopped changing, or if a
 * ring was replaced since it was mapped; then open another view. */
int spool_view_take(struct spool_view *view);

uint64_t spool_view_admitted(const struct spool_view *view); /* at the moment */

/* The rings, including old ones. */
size_t spool_view_rings(const struct spool_view *view);
const struct spool_view_ring *spool_view_ring(const struct spool_view *view, size_t i);

/* Compares a ring with (position, sequence). Returns 0, or -1 if the records were overwritten
 * during the comparison; then take another view. */
int spool_view_compare(const struct spool_view *view, size_t i, uint64_t position,
                       uint64_t sequence, struct spool_view_rest *out);

/* Whether the old rings are still those present when the view was opened. */
bool spool_view_same(const struct spool_view *view);

#endif
