/* The books of deleted rings (FORMATS.md 5): adds a ring's numbers to its shard's once its file is
 * deleted, and at the start finds rings that a crash left between these two steps. One thread, on a
 * libevent loop. */
#ifndef TALLY_COLLECTOR_LEDGER_H
#define TALLY_COLLECTOR_LEDGER_H

#include "session.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

struct ledger_config {
    struct session *session;
    /* Whether every ring file of this edge is known by now. */
    bool (*complete)(void *user);
    /* Whether this ring is one of them. */
    bool (*here)(void *user, unsigned shard, uint64_t ring_id);
    void *user;
};

struct ledger *ledger_new(const struct ledger_config *config); /* NULL on no memory */

/* Call after the session has ended: its end calls back what is under way. */
void ledger_free(struct ledger *ledger);

/* Adds the ring's numbers. Its file must be gone: in the reverse order, a crash in between would
 * drain the ring again with its position unknown, and count it twice. */
void ledger_fold(struct ledger *ledger, unsigned shard, uint64_t ring_id);

/* Folds the rings of this edge that are in Redis but not here. Does so once for each shard, and
 * again where Redis may have lost it (session_generation), when every ring is known and the shard
 * is ready; tries again after a second if Redis did not answer or rings came and went meanwhile.
 * Call it often. */
void ledger_sweep(struct ledger *ledger, unsigned shards, uint64_t edge_id, uint64_t now_ms);

#endif
