/* The plugin's background work, each task at its own pace. It tends the spool, publishes
 * ops/refusals, republishes states that no feed had passed on before the start, ends connections
 * whose tokens have expired, asks the feed which quiet articles may be forgotten, reloads the token
 * keys, and logs what was refused. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_HOUSEKEEPING_H
#define TALLY_BROKER_PLUGIN_HOUSEKEEPING_H

#include "edge.h"

#include <stdbool.h>
#include <stdint.h>

#define HOUSEKEEPING_MS 100

/* Counts since the start. */
struct housekeeping_counts {
    uint64_t turned_away;          /* connections refused for lack of space */
    uint64_t too_fast;             /* connections refused by the limit of their address */
    uint64_t flooded[FLOOD_COUNT]; /* connections ended for flooding */
    uint64_t sessions;             /* connections refused: their address has too many sessions */
    uint64_t states_refused;       /* the feed's invalid states */
    uint64_t bad_tokens;           /* connections refused: their token was invalid */
    uint64_t unchecked;            /* connections refused by the limit of signatures */
    const char *bad_token;         /* why the last token was invalid; NULL: none was */
};

struct housekeeping;

/* For an open edge; the caller keeps it and the counts, and both outlive this. NULL if memory is
 * short. */
struct housekeeping *housekeeping_new(struct edge *edge, const struct housekeeping_counts *counts);
void housekeeping_free(struct housekeeping *house);

/* Call every HOUSEKEEPING_MS; `now_ms` never goes back. */
void housekeeping_tend(struct housekeeping *house, uint64_t now_ms, uint64_t unix_ms);

/* The broker reads its configuration again. */
void housekeeping_reload(struct housekeeping *house);

/* Whether a connection is being ended right now: then the broker asks again for its filters. */
bool housekeeping_ending(const struct housekeeping *house);

/* Logs which token keys an edge has read. */
void housekeeping_say_token_keys(const struct edge *edge);

#endif
