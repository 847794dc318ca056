/* What kind of reply Redis gave. Pure. */
#ifndef TALLY_FEED_REPLY_H
#define TALLY_FEED_REPLY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

static inline bool reply_is_string(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_STRING;
}

/* NULL: false. */
static inline bool reply_is_array(const redisReply *reply, size_t elements)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

#endif
