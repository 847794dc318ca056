/* Tells each call of register.lua that the model of Redis ran, a line of JSON each: what the shard
 * held before, the call's words, the answer, what it holds after.
 * tests/system/test_register_script.py gives the same to a real Redis, which must answer and hold
 * the same. One thread. */
#ifndef TALLY_SIMULATION_CALLS_H
#define TALLY_SIMULATION_CALLS_H

#include "redis.h"
#include "redis_reply.h"

#include <stdbool.h>

/* Whether calls are told, on stdout. */
extern bool calls_told;

/* Around the call. */
void calls_before(unsigned shard, const struct redis_words *words);
void calls_after(unsigned shard, const struct redis_reply *reply);

#endif
