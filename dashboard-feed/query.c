/* Builds calls of read.lua, and reads what they answer. A script instead of MULTI: Redis refuses
 * MULTI when its memory is full. */
#include "query.h"

#include "reply.h"

#include "daemon/log.h"

#include <stdio.h>
#include <string.h>

extern const unsigned char read_lua[];
extern const unsigned long read_lua_bytes;
extern const char read_lua_sha1[];

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
    query_text(query, "EVALSHA");
    query_text(query, read_lua_sha1);
    query_text(query, "2");
    query_text(query, query->meta);
    query_text(query, key);
    query_text(query, store_link_id(link));
    query->first = query->n;
}

void query_command(struct query *query, int words)
{
    char *count = query->count[query->commands++];
    snprintf(count, sizeof query->count[0], "%d", words);
    query_text(query, count);
}

void query_again(struct query *query, const char *key)
{
    query_text(query, "0");
    query_text(query, key);
}

int query_send(struct query *query, redis_link_cb *callback, void *user)
{
    return store_link_send(query->link, query->shard, callback, user, query->n, query->word,
                           query->bytes);
}

static void on_loaded(void *user, const redisReply *reply)
{
    (void)user;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        log_line(LOG_LEVEL_ERROR,
                 "Redis does not take the script for reading; let its user run SCRIPT LOAD",
                 "error=%s", reply->str);
}

void query_load(struct redis_nodes *nodes, unsigned node)
{
    const char *words[] = {"SCRIPT", "LOAD", (const char *)read_lua};
    const size_t bytes[] = {6, 4, (size_t)read_lua_bytes};
    (void)redis_nodes_send_node(nodes, node, on_loaded, NULL, 3, words, bytes);
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
