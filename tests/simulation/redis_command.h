/* Runs commands on the modelled servers. One thread. */
#ifndef TALLY_SIMULATION_REDIS_COMMAND_H
#define TALLY_SIMULATION_REDIS_COMMAND_H

#include "redis.h"
#include "redis_reply.h"

#include <stdbool.h>

/* Runs one command on a server and writes the reply. */
void redis_command(unsigned server, const struct redis_words *words, struct redis_reply *reply);

/* Whether it is a batch (register.lua), or the question for a ring's position. */
bool redis_command_is_batch(const struct redis_words *words);
bool redis_command_is_position(const struct redis_words *words);
bool redis_command_is_claim(const struct redis_words *words);

/* Whether it is store.lua that makes a store or gives kinds their ids; whether the answer is what
 * tally:store holds. */
bool redis_command_is_store(const struct redis_words *words);
bool redis_command_reads_store(const struct redis_words *words);

#endif
