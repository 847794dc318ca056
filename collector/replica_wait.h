/* Whether a replica has what was written to tally:store, by WAIT. One thread. */
#ifndef TALLY_COLLECTOR_REPLICA_WAIT_H
#define TALLY_COLLECTOR_REPLICA_WAIT_H

#include "store.h"

#include "redis/redis_nodes.h"

#include <stdbool.h>

#define REPLICA_WAIT_WORDS 3

struct replica_wait {
    bool needs_wait; /* something was written that no replica is known to have */
    bool optional;   /* continues if WAIT is refused: a service keeps its data by itself */
    bool said;       /* that it is refused */
};

/* Whether to send WAIT, its words. Without a replica there is nothing to wait for. */
bool replica_wait_due(struct replica_wait *wait, unsigned replicas,
                      const char *words[REPLICA_WAIT_WORDS]);

/* Returns whether to continue; if not, gives the reason. A refusal (the user may lack the right)
 * and any other error say nothing about the replicas, so they do not count as replicated. */
bool replica_wait_answered(struct replica_wait *wait, const redisReply *answer,
                           char why[STORE_WHY_BYTES]);

#endif
