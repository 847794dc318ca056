/* What may happen in a schedule, and how: one step at a time. One thread. */
#ifndef TALLY_SIMULATION_STEP_H
#define TALLY_SIMULATION_STEP_H

#include "platform.h"

#include <stdint.h>

enum step {
    STEP_WORK,
    STEP_CLICK,
    STEP_REPEAT,
    STEP_NETWORK,
    STEP_WAIT,
    STEP_START,
    STEP_WRITE_BACK,
    STEP_TEND,
    /* what breaks things: each schedule has only some of these */
    STEP_KILL_COLLECTOR,
    STEP_KILL_FEED,
    STEP_KILL_BROKER,
    STEP_RESIZE,
    STEP_KILL_REDIS,
    STEP_REDIS_UP,
    STEP_CUT,
    STEP_FREEZE,
    STEP_CLOCK,
    STEP_POWER,
    STEP_DAMAGE,
    STEP_SHARD_AWAY,
    STEP_POISON,
    STEP_FORGET_SCRIPT,
    STEP_LOSSES,
    STEP_SUBSCRIBER,
    STEP_ARCHIVE,
    STEP_WIPE,
    /* in a cluster only */
    STEP_FAIL_OVER,
    STEP_HANG,
    STEP_APART,
    STEP_CUT_OFF,
    STEP_STALE,
    STEP_MOVE,
    STEP_EMPTY,
    STEP_KINDS,
    WHATS
};

/* Does it; all that is random in it comes out of `dice`. */
void step_do(enum step what, uint64_t dice);

/* While a collector naps, a message may reach its broker (platform_on_nap). */
void step_on_nap(struct event_base *process);

/* From now on nobody clicks, or everybody may. */
void step_clicks(bool may);

#endif
