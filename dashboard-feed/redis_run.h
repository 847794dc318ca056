/* Which run of a server, and of its replication, this is: while it stays the same, the server has
 * lost nothing. Pure. */
#ifndef TALLY_FEED_REDIS_RUN_H
#define TALLY_FEED_REDIS_RUN_H

#include <hiredis/hiredis.h>

#define REDIS_RUN_BYTES 24

/* Reads it from the reply to INFO: the beginnings of `run_id` and of `master_replid`. "" where the
 * reply does not say. */
void redis_run_read(char run[REDIS_RUN_BYTES + 1], const redisReply *info);

#endif
