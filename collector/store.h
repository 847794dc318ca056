/* The store's identity (FORMATS.md 5, `tally:store`): whether the rings of this edge may be applied
 * to the store in Redis, or whether a store may be created there. Pure; any thread. */
#ifndef TALLY_COLLECTOR_STORE_H
#define TALLY_COLLECTOR_STORE_H

#include "core/error.h"
#include "spool/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Voters per bucket in a store created here: bench/register_memory.py measures the cost. */
#define STORE_SPLIT_VOTERS 36
#define STORE_KEY_DIGITS (2 * RING_FINGERPRINT_BYTES)
#define STORE_WHY_BYTES 200

/* What Redis holds. */
struct store {
    bool exists;
    uint64_t id;
    unsigned format, shards, split;
    char key[STORE_KEY_DIGITS + 1];
    uint64_t placed; /* a bit for each shard whose meta is known to name the store */
    int kinds;       /* the highest id given */
    char kind[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1]; /* by id; [0] is "none", "" is not given */
};

/* What the rings of this edge say, the old ones too. */
struct store_rings {
    unsigned rings, shards;
    uint64_t edge; /* whose they are; 0 without rings */
    char key[STORE_KEY_DIGITS + 1];
    uint64_t applied;        /* the store they have applied to; 0 none */
    bool of_stores;          /* … or several stores */
    uint64_t applied_shards; /* a bit for each shard to which a ring has applied */
    const char *torn;        /* any other contradiction between them, NULL if none */
    int kinds;
    char kind[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1]; /* all names, from [0] on */
};

void store_init(struct store *store);

/* Takes a field of the hash. Invalid ids and kind names are ignored. */
void store_field(struct store *store, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes);

/* Whether all its shards are placed. */
bool store_placed(const struct store *store);

void store_rings_init(struct store_rings *rings);
/* `applied`: something of this ring was applied. */
void store_rings_add(struct store_rings *rings, const struct ring_identity *ring, uint64_t store_id,
                     bool applied);

enum store_verdict {
    STORE_SERVE, /* apply */
    STORE_MAKE,  /* make one */
    STORE_KINDS, /* assign ids to kinds that it does not know */
    STORE_HOLD,  /* apply nothing: `why` */
};

/* Compares a store as it was when accepted with the same store now: a failover may
 * have taken kinds back. SERVE: it has all of them, or it is another store. KINDS: some are
 * missing, and their ids are free. If another kind has such an id, registers would be counted
 * for it: HOLD if `strict`, otherwise SERVE (when all of Redis goes back at once, no register
 * has the id). */
enum store_verdict store_recall(const struct store *known, const struct store *now, bool strict,
                                struct error *why);

enum store_verdict store_judge(const struct store *store, const struct store_rings *rings,
                               bool adopt, struct error *why);

/* The store's kind ids by a ring's kind indices. Returns 0, or -1 if a kind has no id. */
int store_map(const struct store *store, const struct kind_table *kinds, uint8_t ids[KIND_MAX + 1]);

/* "none", a kind's name, or "" if no kind has the id. */
const char *store_kind(const struct store *store, unsigned id);

#endif
