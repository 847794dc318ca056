/* Builds replies of bounded size, as hiredis would have parsed them. */
#include "redis_reply.h"

#include <stdlib.h>
#include <string.h>

redisReply *redis_reply_add(struct redis_reply *reply, int type)
{
    if (reply->nodes == REDIS_REPLY_NODES)
        abort();
    redisReply *node = &reply->node[reply->nodes++];
    memset(node, 0, sizeof *node);
    node->type = type;
    return node;
}

void redis_reply_begin(struct redis_reply *reply)
{
    reply->nodes = reply->elements = reply->bytes = 0;
}

redisReply *redis_reply_text(struct redis_reply *reply, const void *bytes, size_t n)
{
    redisReply *node = redis_reply_add(reply, REDIS_REPLY_STRING);
    if (reply->bytes + n + 1 > REDIS_REPLY_TEXT)
        abort();
    node->str = reply->text + reply->bytes;
    if (n > 0)
        memcpy(node->str, bytes, n);
    node->str[n] = '\0';
    node->len = n;
    reply->bytes += n + 1;
    return node;
}

redisReply *redis_reply_words(struct redis_reply *reply, const char *words)
{
    return redis_reply_text(reply, words, strlen(words));
}

/* Digits by hand: most of a schedule's numbers are written here. */
redisReply *redis_reply_digits(struct redis_reply *reply, uint64_t value)
{
    char text[24];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return redis_reply_text(reply, text + at, sizeof text - at);
}

redisReply *redis_reply_number(struct redis_reply *reply, long long value)
{
    redisReply *node = redis_reply_add(reply, REDIS_REPLY_INTEGER);
    node->integer = value;
    return node;
}

redisReply *redis_reply_array(struct redis_reply *reply, size_t n)
{
    redisReply *node = redis_reply_add(reply, REDIS_REPLY_ARRAY);
    if (reply->elements + n > REDIS_REPLY_NODES)
        abort();
    node->element = reply->element + reply->elements;
    node->elements = n;
    reply->elements += n;
    return node;
}

void redis_reply_error(struct redis_reply *reply, const char *words)
{
    redis_reply_begin(reply);
    redis_reply_words(reply, words)->type = REDIS_REPLY_ERROR;
}
