/* How far a ring's released position may move (FORMATS.md 4.2, `applied`): past a batch once
 * its receipts have left this process. After a kill, the next process to read the ring therefore
 * sends them again. Pure; one thread. */
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
        uint64_t receipts;
    } batch[RELEASE_BATCHES_MAX]; /* a ring */
    size_t first, n;
    uint64_t at; /* the released position */
};

/* Begins at this position; nothing waits. */
void release_begin(struct release *release, uint64_t position);

/* A batch up to `end` was applied; `receipts` had been given by then, in all. Ends rise. */
void release_add(struct release *release, struct batch_point end, uint64_t receipts);

/* Whether the position may move, and where to: past every batch whose receipts are all among the
 * first `gone`, and past those that hold back more than `held_max_bytes` of the ring, because new
 * reactions need that space. */
bool release_next(struct release *release, uint64_t gone, uint64_t held_max_bytes,
                  struct batch_point *out);

#endif
