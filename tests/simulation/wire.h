/* The connections between the daemons and Redis: plays redis_link.h. A link is to one server, by
 * its address. Commands wait on the way, are run in their order, and their replies wait on the way
 * back. What a killed process has sent may still be run later. One thread. */
#ifndef TALLY_SIMULATION_WIRE_H
#define TALLY_SIMULATION_WIRE_H

#include "platform.h"
#include "redis.h"

#include <stdbool.h>

/* Of an edge: the collector's, then the feed's. Each may have one to a server for commands, one to
 * ask it who owns what, and the feed one to listen; and a former one of each that is yet to end. */
#define WIRE_COLLECTOR (4 * REDIS_SERVERS)
#define WIRE_FEED (6 * REDIS_SERVERS)
#define WIRE_LINKS (WIRE_COLLECTOR + WIRE_FEED)

void wire_begin(void);

/* A link that is there, or a killed process's of which commands are left; the number is of use
 * until the next call into a program. */
unsigned wire_any(void);

/* The server runs up to `n` of the commands that wait on a link (0 to edges × WIRE_LINKS - 1).
 * Returns how many. */
unsigned wire_execute(unsigned link, unsigned n);

/* … of those that a killed process left behind. */
unsigned wire_execute_left(unsigned link, unsigned n);

/* Whether something has come for a process, or its links have something to do. */
bool wire_due(const struct event_base *process);

/* As the process: connects, hears of lost connections, gets up to `n` replies of each link. */
void wire_deliver(struct event_base *process, unsigned n);

/* The process was killed: what it sent stays on the way. */
void wire_killed(const struct event_base *process);

/* The connection of a link is cut, after its server ran up to `n` more of its commands. */
void wire_cut(unsigned link, unsigned n);

/* A server is killed: its connections end, its clients hear what was answered already. */
void wire_server_dies(unsigned server);

/* The server does not have the shard any more: tells the subscribers to it there. */
void wire_part_leaves(unsigned server, unsigned part);

/* Another file is loaded into Redis in one step: connections stay, and nothing tells the programs.
 */
void wire_redis_exchanged(void);

/* Whether no answer is awaited by the process. */
bool wire_idle(const struct event_base *process);

#endif
