/* Two channels of Redis: that a shard has changes, and that an article's state has changed. Both
 * only say where to look. */
#include "subscription.h"

#include "reply.h"

#include "core/article.h"
#include "daemon/redis_link.h"

#include <stdlib.h>
#include <string.h>

#define CHANGED_CHANNEL "tally:changed"
#define STATES_CHANNEL "tally:states"

struct subscription {
    struct subscription_config config;
    struct store_link *store;
    struct redis_link *redis;
};

/* What was published to a channel; NULL where this is not a message, or not ready for one. */
static const redisReply *message_of(const struct subscription *subscription,
                                    const redisReply *reply)
{
    if (!reply_is_array(reply, 3) || !reply_is_string(reply->element[0]) ||
        !reply_is_string(reply->element[2]) || strcmp(reply->element[0]->str, "message") != 0 ||
        !store_link_ready(subscription->store))
        return NULL;
    return reply->element[2];
}

static void on_state_hint(redisAsyncContext *redis, void *data, void *user)
{
    struct subscription *subscription = user;
    const redisReply *article = message_of(subscription, data);
    (void)redis;
    if (article != NULL && article_valid(article->str, (size_t)article->len))
        subscription->config.on_state(subscription->config.user, article->str,
                                      (size_t)article->len);
}

static void on_changed_hint(redisAsyncContext *redis, void *data, void *user)
{
    struct subscription *subscription = user;
    const redisReply *number = message_of(subscription, data);
    (void)redis;
    if (number == NULL)
        return;
    char *end;
    unsigned long shard = strtoul(number->str, &end, 10);
    if (*end != '\0' || end == number->str || shard >= store_link_shards(subscription->store))
        return;
    store_link_counters(subscription->store)->hints++;
    subscription->config.on_hint(subscription->config.user, (uint32_t)shard);
}

static void on_up(void *user, redisAsyncContext *redis)
{
    const struct subscription *subscription = user;
    redisAsyncCommand(redis, on_changed_hint, user, "SUBSCRIBE " CHANGED_CHANNEL);
    if (subscription->config.on_state != NULL)
        redisAsyncCommand(redis, on_state_hint, user, "SUBSCRIBE " STATES_CHANNEL);
}

struct subscription *subscription_new(struct event_base *base, struct store_link *store,
                                      const struct subscription_config *config)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return NULL;
    subscription->config = *config;
    subscription->store = store;
    const struct redis_link_config redis = {
        .host = config->host,
        .port = config->port,
        .password = config->password,
        .subscribes = true,
        .on_up = on_up,
        .user = subscription,
    };
    subscription->redis = redis_link_new(base, &redis);
    if (subscription->redis == NULL) {
        free(subscription);
        return NULL;
    }
    return subscription;
}

void subscription_free(struct subscription *subscription)
{
    if (subscription == NULL)
        return;
    redis_link_free(subscription->redis);
    free(subscription);
}

int subscription_set_password(struct subscription *subscription, const char *password)
{
    return redis_link_set_password(subscription->redis, password);
}

void subscription_reset(struct subscription *subscription)
{
    redis_link_reset(subscription->redis, "the other connection was lost");
}
