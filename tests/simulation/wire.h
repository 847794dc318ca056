/* The connections between the daemons and Redis: plays redis_link.h. Commands wait on the way, are
 * run in their order, and their replies wait on the
 * way back. What a killed process has sent may still be run later. One thread. */
#ifndef TALLY_SIMULATION_WIRE_H
#define TALLY_SIMULATION_WIRE_H

#include "platform.h"

#include <stdbool.h>

#define WIRE_LINKS 3 /* of an edge: the collector's, the feed's, the feed's for hints */

void wire_begin(void);

/* Redis runs up to `n` of the commands that wait on a link (0 to edges × WIRE_LINKS - 1). Returns
 * how many. */
unsigned wire_execute(unsigned link, unsigned n);

/* … of those that a killed process left behind. */
unsigned wire_execute_left(unsigned link, unsigned n);

/* Whether something has come for a process, or its links have something to do. */
bool wire_due(const struct event_base *process);

/* As the process: connects, hears of lost connections, gets up to `n` replies of each link. */
void wire_deliver(struct event_base *process, unsigned n);

/* The process was killed: what it sent stays on the way. */
void wire_killed(const struct event_base *process);

/* The connection of a link is cut, after Redis ran up to `n` more of its commands. */
void wire_cut(unsigned link, unsigned n);

/* Redis is killed: every connection ends, its clients hear what was answered already. */
void wire_redis_dies(void);

/* Another file is loaded into Redis in one step: connections stay, and nothing tells the programs.
 */
void wire_redis_exchanged(void);

/* Whether no answer is awaited by the process. */
bool wire_idle(const struct event_base *process);

#endif
