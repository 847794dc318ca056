/* Replies of Redis to HGETALL tally:store, made of texts. For tests. */
#ifndef TALLY_FEED_TESTS_STORE_REPLY_H
#define TALLY_FEED_TESTS_STORE_REPLY_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <string.h>

#define STORE_REPLY_MAX 16

/* A reply and what it consists of; it must not be moved. */
struct store_reply {
    redisReply reply;
    redisReply word[STORE_REPLY_MAX];
    redisReply *element[STORE_REPLY_MAX];
};

/* An array of these texts, which stay the caller's. NULL ends them. */
static inline const redisReply *store_reply_of(struct store_reply *out, const char *const *texts)
{
    memset(out, 0, sizeof *out);
    out->reply.type = REDIS_REPLY_ARRAY;
    out->reply.element = out->element;
    for (size_t i = 0; texts[i] != NULL && i < STORE_REPLY_MAX; i++) {
        out->word[i].type = REDIS_REPLY_STRING;
        out->word[i].str = (char *)texts[i];
        out->word[i].len = strlen(texts[i]);
        out->element[i] = &out->word[i];
        out->reply.elements = i + 1;
    }
    return &out->reply;
}

#endif
