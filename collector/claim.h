/* Each shard's meta names the store that the shard's data belongs to (FORMATS.md 5.2). Until all of
 * them do, which tally:store says in `placed`, this asks each shard's node to note it. One thread,
 * on a libevent loop. */
#ifndef TALLY_COLLECTOR_CLAIM_H
#define TALLY_COLLECTOR_CLAIM_H

#include "node.h"

#include <stdbool.h>
#include <stdint.h>

struct claim;

struct claim_config {
    struct redis_nodes *nodes;
    /* The shard's node while it is ready, or NULL. */
    const struct node *(*node)(void *user, unsigned shard);
    void *user;
};

struct claim *claim_new(const struct claim_config *config); /* NULL on no memory */

/* Call after the connections have ended: their end calls back what is under way. NULL is fine. */
void claim_free(struct claim *claim);

/* Which store the shards are to name. Starts again if it differs from the one before. */
void claim_store(struct claim *claim, uint64_t store_id, unsigned shards);

/* Asks each shard that has not answered, and again a second after a refusal. Call every 100 ms or
 * so. */
void claim_tick(struct claim *claim, uint64_t now_ms);

/* The shard names the store. A new owner of the shard is asked again. */
bool claim_done(const struct claim *claim, unsigned shard);

/* Why it does not, or "". */
const char *claim_why(const struct claim *claim, unsigned shard);

/* All shards name the store, and of each node that has replicas, one replica has that, too. */
bool claim_complete(const struct claim *claim);

#endif
