/* What the plugin does beside its events, each at its own pace: it tends the spool, publishes
 * ops/refusals, and once more the states that no feed had passed on before the start, ends
 * connections whose tokens have expired, asks the feed which quiet articles may be forgotten, reads
 * the keys of tokens again, and says on the log what was refused. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_HOUSEKEEPING_H
#define TALLY_BROKER_PLUGIN_HOUSEKEEPING_H

#include "edge.h"

#include <stdbool.h>
#include <stdint.h>

#define HOUSEKEEPING_MS 100

/* What the plugin has counted since the start. */
struct housekeeping_counts {
    uint64_t turned_away;          /* connections, for want of room */
    uint64_t too_fast;             /* connections, by the limit of their address */
    uint64_t flooded[FLOOD_COUNT]; /* connections ended for what they went on sending */
    uint64_t sessions;             /* connections, as their address has too many sessions */
    uint64_t states_refused;       /* states of the feed's that cannot hold */
    uint64_t bad_tokens;           /* connections, as their token did not hold */
    uint64_t unchecked;            /* connections, by the limit of signatures */
    const char *bad_token;         /* why the last of these; NULL: there was none */
};

struct housekeeping;

/* Of an open edge; it and the counts stay the caller's, and outlive it. NULL on no memory. */
struct housekeeping *housekeeping_new(struct edge *edge, const struct housekeeping_counts *counts);
void housekeeping_free(struct housekeeping *house);

/* To be called each HOUSEKEEPING_MS; `now_ms` never goes back. */
void housekeeping_tend(struct housekeeping *house, uint64_t now_ms, uint64_t unix_ms);

/* The broker reads its configuration again. */
void housekeeping_reload(struct housekeeping *house);

/* Whether a connection is being ended in this moment: then the broker asks again for its filters.
 */
bool housekeeping_ending(const struct housekeeping *house);

/* Says which keys of tokens an edge has read. */
void housekeeping_say_token_keys(const struct edge *edge);

#endif
