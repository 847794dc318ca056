/* How long small pieces are gathered before a call takes them together: a call costs Redis as much
 * as several reactions. While pieces are few and far between, it takes the first at once. While
 * they keep coming, and the calls of all shards together are many, it waits for GATHER_TARGET of
 * them, for a limited time. Time comes in, in milliseconds of a clock that never goes back. Pure;
 * one thread. */
#ifndef TALLY_CORE_GATHER_H
#define TALLY_CORE_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATHER_TARGET 16
#define GATHER_BUSY_CALLS_S 400 /* of all shards: some 1 % of Redis's time, at 30 µs a call */

/* The calls of all shards of a program. All zero: none yet. */
struct gather_load {
    double recent; /* calls, those of long ago less and less */
    uint64_t called_ms;
};

struct gather {
    struct gather_load *load;
    unsigned min_ms, max_ms;
    double recent;        /* pieces, those of long ago less and less */
    bool waiting, called; /* called: ever */
    uint64_t called_ms;   /* the last call */
    uint64_t since_ms;    /* while waiting: when the first piece was noticed */
};

/* From one call to the next it waits for `min_ms` (1 to max_ms / 2) at least, where pieces are rare
 * or many, or calls are few, and for `max_ms` at most. `load` is shared, and outlives it. */
void gather_init(struct gather *gather, struct gather_load *load, unsigned min_ms, unsigned max_ms);

/* Something waits. Counts from the first time after a call. */
void gather_notice(struct gather *gather, uint64_t now_ms);

/* A call begins, and takes everything that waits. */
void gather_call(struct gather *gather, uint64_t now_ms);

/* The last call took this many pieces. */
void gather_took(struct gather *gather, size_t pieces);

/* In how many ms the waiting pieces justify a call; 0: now. Calls that wait for longer than
 * `min_ms` are made at multiples of their wait, so that those of many shards reach Redis together.
 */
uint64_t gather_rest_ms(const struct gather *gather, uint64_t now_ms);

#endif
