/* One comparison of a spool with its store: the records that are not applied yet, by shard. One
 * thread. */
#ifndef TALLY_CLI_DRAIN_LOOK_H
#define TALLY_CLI_DRAIN_LOOK_H

#include "store_view.h"

#include "core/error.h"
#include "spool/spool_edge.h"

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_LOOK_WHY_BYTES 160

struct drain_left {
    uint64_t waiting;               /* reactions that are not applied, in all rings of the shard */
    char why[DRAIN_LOOK_WHY_BYTES]; /* what is left; "" nothing */
};

struct drain_look {
    uint64_t edge;
    uint32_t shards;
    bool broker; /* has the spool open, and may append to it */
    bool left;   /* in any shard */
    struct drain_left of[SPOOL_EDGE_SHARDS_MAX];
};

/* The offset of each shard's node when nothing of the shard was left: a replica must have reached
 * it. Zero it before the first look, and keep it between looks. */
struct drain_marks {
    uint64_t generation[SPOOL_EDGE_SHARDS_MAX]; /* 0 no mark */
    uint64_t offset[SPOOL_EDGE_SHARDS_MAX];
};

/* Compares every ring, old ones included, with its position in the store. `marks` not NULL: an
 * applied shard is also left until a replica has it. Returns 0, or -1 with a sentence if it could
 * not look now. */
int drain_look_take(struct drain_look *look, const char *spool, struct store_view *store,
                    struct drain_marks *marks, struct error *why);

#endif
