/* Builds calls of read.lua, and reads what they answer. A script instead of MULTI: Redis refuses
 * MULTI when its memory is full. */
#include "query.h"

#include "reply.h"

#include <stdio.h>
#include <string.h>

extern const unsigned char read_lua[];
extern const unsigned long read_lua_bytes;

void query_word(struct query *query, const char *word, size_t bytes)
{
    query->word[query->n] = word;
    query->bytes[query->n++] = bytes;
}

void query_text(struct query *query, const char *word)
{
    query_word(query, word, strlen(word));
}

void query_init(struct query *query, struct store_link *link, uint32_t shard, const char *key)
{
    query->link = link;
    query->shard = shard;
    query->n = query->commands = 0;
    store_link_key(link, query->meta, shard, "meta");
    query_text(query, "EVAL");
    query_word(query, (const char *)read_lua, (size_t)read_lua_bytes);
    query_text(query, "2");
    query_text(query, query->meta);
    query_text(query, key);
    query_text(query, store_link_id(link));
}

void query_command(struct query *query, int words)
{
    char *count = query->count[query->commands++];
    snprintf(count, sizeof query->count[0], "%d", words);
    query_text(query, count);
}

int query_send(struct query *query, redis_link_cb *callback, void *user)
{
    return store_link_send(query->link, query->shard, callback, user, query->n, query->word,
                           query->bytes);
}

redisReply *const *query_answers(struct store_link *link, uint32_t shard, const redisReply *reply,
                                 size_t commands, const char *why)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        reply_is_string(reply->element[0])) {
        if (strcmp(reply->element[0]->str, "ok") == 0 && reply->elements == commands + 1)
            return reply->element + 1;
        if (strcmp(reply->element[0]->str, "store") == 0) {
            store_link_another(link, shard);
            return NULL;
        }
    }
    store_link_refuse(link, shard, reply, why);
    return NULL;
}
