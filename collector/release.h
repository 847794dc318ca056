/* How far a ring's released position may move (FORMATS.md 4.2, `applied`): past a batch once
 * its receipts have left this process, and, if required, once a replica has it. After a kill, the
 * next process to read the ring therefore sends the receipts again, and the ring still has
 * everything that a failover takes back. Pure; one thread. */
#ifndef TALLY_COLLECTOR_RELEASE_H
#define TALLY_COLLECTOR_RELEASE_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELEASE_BATCHES_MAX 64 /* further ones are merged into the last */

struct release {
    struct {
        struct batch_point end;
        uint64_t receipts, moment;
    } batch[RELEASE_BATCHES_MAX]; /* a ring */
    size_t first, n;
    uint64_t at; /* the released position */
};

/* Begins at this position; nothing waits. */
void release_begin(struct release *release, uint64_t position);

/* A batch up to `end` was applied; `receipts` had been given by then, in all. It is replicated from
 * `moment` on (node.h). Ends, and moments, rise. */
void release_add(struct release *release, struct batch_point end, uint64_t receipts,
                 uint64_t moment);

/* Whether the position may move, and where to: past every batch whose moment has come
 * (`replicated`), and whose receipts are all among the first `gone`, or which holds back more than
 * `held_max_bytes` of the ring, because new reactions need that space. */
bool release_next(struct release *release, uint64_t gone, uint64_t replicated,
                  uint64_t held_max_bytes, struct batch_point *out);

/* Redis's position was asked for again and covers the waiting batches: they are replicated from
 * `moment` on.
 */
void release_moment(struct release *release, uint64_t moment);

bool release_empty(const struct release *release); /* nothing waits */

#endif
