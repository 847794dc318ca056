/* Sends a command whose answer counts only in the generation in which it was sent
 * (redis_nodes.h). Only redis_nodes uses it. Loop thread only. */
#ifndef TALLY_REDIS_REDIS_GUARD_H
#define TALLY_REDIS_REDIS_GUARD_H

#include "redis/redis_link.h"

#include <stddef.h>
#include <stdint.h>

/* As redis_link_send, but `fn` is called with NULL if `*generation` has changed since. `generation`
 * outlives the command. Returns -1 also when out of memory. */
int redis_guard_send(struct redis_link *link, const uint64_t *generation, redis_link_cb *fn,
                     void *user, int argc, const char **argv, const size_t *bytes);

#endif
