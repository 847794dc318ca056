/* The scripts that the modelled Redis runs, step by step, on the server redis.here. Each takes the
 * words of its EVAL or EVALSHA and writes the answer. One thread. */
#ifndef TALLY_SIMULATION_REDIS_SCRIPTS_H
#define TALLY_SIMULATION_REDIS_SCRIPTS_H

#include "redis.h"
#include "redis_reply.h"

#include <stdbool.h>

/* Where the script's ARGV[1] is in the words. */
size_t redis_scripts_argv(const struct redis_words *words);

/* Whether the shard's meta names this store. If not, answers {'store', which}. */
bool redis_scripts_is_store(const struct redis_shard *shard, const char *id,
                            struct redis_reply *reply);

/* redis_register.c: register.lua, position.lua and claim.lua, which decide what may be applied. */
void redis_register_run(const struct redis_words *words, struct redis_reply *reply);
void redis_register_position(const struct redis_words *words, struct redis_reply *reply);
void redis_register_claim(const struct redis_words *words, struct redis_reply *reply);

/* redis_store.c: store.lua, fold.lua; HGETALL tally:store; HSETNX tally:store. */
void redis_store_run(const struct redis_words *words, struct redis_reply *reply);
void redis_store_fold(const struct redis_words *words, struct redis_reply *reply);
void redis_store_answer(struct redis_reply *reply);
void redis_store_set(const struct redis_words *words, struct redis_reply *reply);

/* redis_audit.c: pause.lua, count.lua, HRANDFIELD heads. */
void redis_audit_pause(const struct redis_words *words, struct redis_reply *reply);
void redis_audit_count(const struct redis_words *words, struct redis_reply *reply);
void redis_audit_random(const struct redis_words *words, struct redis_reply *reply);

/* redis_read.c: read.lua and its commands alone, touch.lua, HGETALL rings, HGET meta store, and
 * values as they are stored; an article's base is NIL if it has none. */
void redis_read_run(const struct redis_words *words, struct redis_reply *reply);
void redis_read_plain(const struct redis_words *words, struct redis_reply *reply);
void redis_read_touch(const struct redis_words *words, struct redis_reply *reply);
void redis_read_store(const struct redis_words *words, struct redis_reply *reply);
void redis_read_rings(const struct redis_words *words, struct redis_reply *reply);
redisReply *redis_read_head(struct redis_reply *reply, const struct redis_head *head);
redisReply *redis_read_base(struct redis_reply *reply, const struct redis_shard *shard,
                            unsigned article);

#endif
