/* Several reads of one store in one step (read.lua, FORMATS.md 5). A query is built on the stack,
 * sent, and forgotten. Loop thread only. */
#ifndef TALLY_FEED_QUERY_H
#define TALLY_FEED_QUERY_H

#include "store_link.h"

#include <stddef.h>

#define QUERY_COMMANDS_MAX 3 /* those of query_again too */
#define QUERY_WORDS_MAX 1024 /* of all commands */

struct query {
    struct store_link *link;
    uint32_t shard;
    char meta[REDIS_KEY_BYTES];
    const char *word[QUERY_WORDS_MAX];
    size_t bytes[QUERY_WORDS_MAX];
    int n;
    int first;                          /* word of the commands */
    char count[QUERY_COMMANDS_MAX][12]; /* words of each command */
    int commands;
};

/* Has a server learn the script. Called when its link is up, before anything is asked of its
 * shards. Later it may forget the script (SCRIPT FLUSH): the answer then makes no sense, and the
 * link begins again. */
void query_load(struct redis_nodes *nodes, unsigned node);

/* Begins a query of a shard of the store that `link` follows, for `key` and others of the shard. A
 * query keeps the pointers that it is given, and must not be moved. */
void query_init(struct query *query, struct store_link *link, uint32_t shard, const char *key);

/* A command of this many words follows. */
void query_command(struct query *query, int words);
void query_word(struct query *query, const char *word, size_t bytes);
void query_text(struct query *query, const char *word);

/* The words of the command before, with `key` as the key that it reads. If there is no such key,
 * the answer is an empty list. */
void query_again(struct query *query, const char *key);

/* store_link_send, of the call of the script. */
int query_send(struct query *query, redis_link_cb *callback, void *user);

/* Called first in the callback: notes the reply, and returns what the `commands` of the query
 * answered. NULL where there is nothing to be read: no answer, another store (the shard then is
 * away), or no such reply (the connection then ends, for `why`). */
redisReply *const *query_answers(struct store_link *link, uint32_t shard, const redisReply *reply,
                                 size_t commands, const char *why);

#endif
