/* The call of store.lua (see there). Pure; any thread. */
#ifndef TALLY_COLLECTOR_STORE_CALL_H
#define TALLY_COLLECTOR_STORE_CALL_H

#include "store.h"

#include "redis/redis_key.h"

#include <stdint.h>

#define STORE_CALL_WORDS (6 + REDIS_PLACE_STORE) /* 'placed' has the most */

enum store_call_what {
    STORE_CALL_MAKE, /* make the store if it is missing, and add kinds */
    STORE_CALL_KEEP, /* add kinds */
};

/* The words point into this struct and into the arguments of store_call_pack. */
struct store_call {
    int n;
    const char *word[STORE_CALL_WORDS];
    char key[REDIS_KEY_BYTES], id[17], edge[17], shards[12], split[12];
    char placed[REDIS_PLACE_STORE][3];
    char known[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 8];
};

/* `known`: the store as it was accepted last; its kinds keep their ids if it has the same id. */
void store_call_pack(struct store_call *call, enum store_call_what what, const char *prefix,
                     uint64_t store_id, const struct store *known, const struct store_rings *rings);

/* Notes that these shards (a bit for each) name the store. */
void store_call_placed(struct store_call *call, const char *prefix, uint64_t store_id,
                       uint64_t shards);

/* Notes that the edge lives. */
void store_call_seen(struct store_call *call, const char *prefix, uint64_t store_id,
                     uint64_t edge_id);

#endif
