/* A channel is named like the key that it tells of, so it is in the shard's slot. */
#include "subscription.h"

#include "reply.h"

#include "core/article.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHANGED "changed"
#define STATES "states"

void subscription_begin(const struct subscription *subscription, struct redis_link *link,
                        uint32_t shard)
{
    char changed[REDIS_KEY_BYTES], states[REDIS_KEY_BYTES];
    store_link_key(subscription->store, changed, shard, CHANGED);
    store_link_key(subscription->store, states, shard, STATES);
    const char *words[] = {"SSUBSCRIBE", changed, states};
    const size_t bytes[] = {strlen(words[0]), strlen(words[1]), strlen(words[2])};
    (void)redis_link_send(link, NULL, NULL, 3, words, bytes);
}

/* The shard of a channel of this name; -1: it is another channel. */
static long shard_of(const char *channel, const char *name)
{
    char *end;
    const char *tag = strrchr(channel, '{');
    if (tag == NULL)
        return -1;
    unsigned long shard = strtoul(tag + 1, &end, 10);
    return strncmp(end, "}:", 2) == 0 && strcmp(end + 2, name) == 0 &&
                   shard < STORE_IDENTITY_MAX_SHARDS
               ? (long)shard
               : -1;
}

static bool is_kind(const redisReply *reply, const char *kind)
{
    return strcmp(reply->element[0]->str, kind) == 0;
}

static void hint_change(const struct subscription *subscription, const char *channel)
{
    long shard = shard_of(channel, CHANGED);
    if (shard >= 0 && store_link_shard_ready(subscription->store, (uint32_t)shard))
        subscription->on_hint(subscription->user, (uint32_t)shard);
}

static void hint_state(const struct subscription *subscription, const char *channel,
                       const redisReply *article)
{
    long shard = shard_of(channel, STATES);
    if (shard >= 0 && subscription->on_state != NULL &&
        store_link_shard_ready(subscription->store, (uint32_t)shard) &&
        article_valid(article->str, (size_t)article->len))
        subscription->on_state(subscription->user, article->str, (size_t)article->len);
}

void subscription_take(const struct subscription *subscription, const redisReply *reply)
{
    if (!reply_is_array(reply, 3) || !reply_is_string(reply->element[0]) ||
        !reply_is_string(reply->element[1]))
        return;
    const char *channel = reply->element[1]->str;
    if (is_kind(reply, "ssubscribe")) {
        hint_change(subscription, channel);
    } else if (is_kind(reply, "smessage") && reply_is_string(reply->element[2])) {
        store_link_counters(subscription->store)->hints++;
        hint_change(subscription, channel);
        hint_state(subscription, channel, reply->element[2]);
    }
}
