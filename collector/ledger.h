/* The books of rings that are gone (FORMATS.md 5): adds a ring's numbers to its shard's, once
 * its file is deleted, and finds at the start what a crash between the two left. One thread, on a
 * libevent loop. */
#ifndef TALLY_COLLECTOR_LEDGER_H
#define TALLY_COLLECTOR_LEDGER_H

#include "session.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

struct ledger_config {
    struct session *session;
    /* Whether every ring of this edge that has a file is known by now. */
    bool (*complete)(void *user);
    /* Whether this ring is one of them. */
    bool (*here)(void *user, unsigned shard, uint64_t ring_id);
    void *user;
};

struct ledger *ledger_new(const struct ledger_config *config); /* NULL on no memory */

/* After the session's end, which calls back what is under way. */
void ledger_free(struct ledger *ledger);

/* Has the ring's numbers added. Its file must be gone: the other way round, a crash between would
 * have it drained again, its position unknown, and counted twice. */
void ledger_fold(struct ledger *ledger, unsigned shard, uint64_t ring_id);

/* Folds the rings of this edge that Redis has and nobody here: once, when every ring is known and
 * Redis may be asked; where it was not answered, or rings came and went meanwhile, again after a
 * second. To be called often. */
void ledger_sweep(struct ledger *ledger, unsigned shards, uint64_t edge_id, uint64_t now_ms);

#endif
