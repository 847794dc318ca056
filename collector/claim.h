/* Each shard's meta names the store that the shard's data belongs to (FORMATS.md 5.2). Until it is
 * known to, which tally:store says in `placed`, this asks the shard's node to note it. A shard that
 * was seen to name the store, and no longer does, has lost its data, and does not get its name
 * again. One thread, on a libevent loop. */
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

/* Which store the shards are to name. Starts over if it is another one than before. `known`: the
 * shards, a bit for each, that have named it at some time, or have been applied to. */
void claim_store(struct claim *claim, uint64_t store_id, unsigned shards, uint64_t known);

/* Asks the shards that have not answered, a second after a refusal, except those in `placed`
 * (a bit for each). Call every 100 ms or so. */
void claim_tick(struct claim *claim, uint64_t now_ms, uint64_t placed);

/* The shard was adopted: its node has just answered that it names the store. */
void claim_adopted(struct claim *claim, unsigned shard);

/* The shard names the store. A new owner of the shard is asked again. */
bool claim_done(const struct claim *claim, unsigned shard);

/* Why it does not, or "". */
const char *claim_why(const struct claim *claim, unsigned shard);

/* The shards that name the store, a bit for each; if there are replicas, only once one has it. */
uint64_t claim_settled(struct claim *claim);

#endif
