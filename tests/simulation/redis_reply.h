/* Replies of the modelled Redis, and all of their parts, of bounded size. Each function adds a part
 * to `reply`, which owns it, and answers it; too many abort. One thread. */
#ifndef TALLY_SIMULATION_REDIS_REPLY_H
#define TALLY_SIMULATION_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_REPLY_NODES 96
#define REDIS_REPLY_TEXT 3072
struct redis_reply {
    redisReply node[REDIS_REPLY_NODES];
    redisReply *element[REDIS_REPLY_NODES];
    char text[REDIS_REPLY_TEXT];
    size_t nodes, elements, bytes;
};

/* Empties it. The first part that is added then is the reply. */
void redis_reply_begin(struct redis_reply *reply);

redisReply *redis_reply_add(struct redis_reply *reply, int type);
redisReply *redis_reply_text(struct redis_reply *reply, const void *bytes, size_t n);
redisReply *redis_reply_words(struct redis_reply *reply, const char *words);
redisReply *redis_reply_digits(struct redis_reply *reply, uint64_t value); /* as a string */
redisReply *redis_reply_number(struct redis_reply *reply, long long value);

/* Of `n` elements, which the caller sets. */
redisReply *redis_reply_array(struct redis_reply *reply, size_t n);

/* The reply is this error and nothing else. */
void redis_reply_error(struct redis_reply *reply, const char *words);

#endif
