/* Starts and turns the real collector and the real feed (without its HTTP server) as processes of
 * the simulation. One thread. */
#ifndef TALLY_SIMULATION_PROGRAMS_H
#define TALLY_SIMULATION_PROGRAMS_H

#include "platform.h"

/* Starts a process that is not alive. `adopt`: the collector's option. */
void programs_start(struct event_base *process, bool adopt);

/* One turn of its event loop, if anything has come: events that are due, up to `n` replies and
 * packets a connection, and what the program then does. */
void programs_turn(struct event_base *process, unsigned n);

/* kill -9, at the `fuse`th call of the platform from now on, or at once (0). */
void programs_kill(struct event_base *process, long fuse);

/* Whether a turn would do anything. */
bool programs_due(const struct event_base *process);

/* Why the feed of an edge does not follow all shards; "": it does. */
const char *programs_feed_why(unsigned edge);

#endif
