/* Which run of a server, and of its replication, this is: while it stays the same, the server has
 * lost nothing. Loop thread only. */
#ifndef TALLY_FEED_REDIS_RUN_H
#define TALLY_FEED_REDIS_RUN_H

#include "redis/redis_nodes.h"

#define REDIS_RUN_BYTES 24

/* Asks a server for it (INFO): the beginnings of `run_id` and of `master_replid`. `run` is set when
 * it answers, to "" where the answer does not say, and must exist until then. */
void redis_run_ask(char run[REDIS_RUN_BYTES + 1], struct redis_nodes *nodes, unsigned node);

#endif
