/* What tally:store says of a store (FORMATS.md 5): its id, its number of shards, its kinds. Pure.
 */
#ifndef TALLY_FEED_STORE_IDENTITY_H
#define TALLY_FEED_STORE_IDENTITY_H

#include "total_json.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_IDENTITY_ID_BYTES 16
#define STORE_IDENTITY_MAX_SHARDS 64

struct store_identity {
    char id[STORE_IDENTITY_ID_BYTES + 1]; /* hex digits; "": none was read yet */
    uint32_t shards;
    struct kinds kinds;
};

/* Reads the reply to HGETALL tally:store. Returns NULL, or why this store cannot be followed: a
 * constant or a part of the reply. `identity` is then unspecified. */
const char *store_identity_read(struct store_identity *identity, const redisReply *reply);

/* Whether both are the same store, with as many shards. */
bool store_identity_same(const struct store_identity *one, const struct store_identity *other);

/* Whether a store that was found may be followed after `now`, while the collector is ready with the
 * store of the id `collector`. Another store than before is followed only then: that is the
 * operator's decision (--adopt). */
bool store_identity_may_follow(const struct store_identity *now, const struct store_identity *found,
                               const char *collector);

#endif
