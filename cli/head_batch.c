/* One script reads heads and bases, because counts may move from one to the other. A transaction
 * would not do: a full Redis refuses it (7.0.15), although it can be read. */
#include "head_batch.h"

#include <stdbool.h>
#include <string.h>

static redisReply *batch_ask(struct head_batch *batch)
{
    static const char script[] =
        "return "
        "{redis.call('HMGET',KEYS[1],unpack(ARGV)),redis.call('HMGET',KEYS[2],unpack(ARGV))}";
    struct store_nodes *nodes = store_view_nodes(batch->store);
    char heads[REDIS_KEY_BYTES], base[REDIS_KEY_BYTES];
    const char *argv[5 + HEAD_BATCH_MAX] = {"EVAL", script, "2", heads, base};
    size_t bytes[5 + HEAD_BATCH_MAX] = {4, sizeof script - 1, 1};
    store_nodes_key(nodes, heads, batch->shard, "heads");
    store_nodes_key(nodes, base, batch->shard, "base");
    bytes[3] = strlen(heads);
    bytes[4] = strlen(base);
    for (size_t i = 0; i < batch->n; i++) {
        argv[5 + i] = batch->article[i];
        bytes[5 + i] = batch->bytes[i];
    }
    return store_view_ask(batch->store, batch->shard, (int)(5 + batch->n), argv, bytes);
}

static bool batch_is_array(const redisReply *reply, size_t elements)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

int head_batch_flush(struct head_batch *batch, struct error *error)
{
    const size_t n = batch->n;
    if (n == 0)
        return 0;
    redisReply *reply = batch_ask(batch);
    batch->n = 0;
    if (reply == NULL)
        return error_set(error, "%s", store_view_error(batch->store));
    bool whole = batch_is_array(reply, 2) && batch_is_array(reply->element[0], n) &&
                 batch_is_array(reply->element[1], n);
    for (size_t i = 0; whole && i < n; i++)
        batch->fn(batch->user, batch->article[i], reply->element[0]->element[i],
                  reply->element[1]->element[i]);
    freeReplyObject(reply);
    return whole ? 0 : error_set(error, "redis: a reply without heads and bases");
}

int head_batch_add(struct head_batch *batch, const char *article, size_t bytes, struct error *error)
{
    memcpy(batch->article[batch->n], article, bytes);
    batch->article[batch->n][bytes] = '\0';
    batch->bytes[batch->n++] = bytes;
    return batch->n == HEAD_BATCH_MAX ? head_batch_flush(batch, error) : 0;
}
