/* Two channels of Redis: that a shard has changes, and that an article's state has changed. Both
 * only say where to look. */
#include "subscription.h"

#include "reply.h"

#include "core/article.h"
#include "redis/redis_link.h"

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
        !reply_is_string(reply->element[1]) || !reply_is_string(reply->element[2]) ||
        strcmp(reply->element[0]->str, "message") != 0 || !store_link_ready(subscription->store))
        return NULL;
    return reply->element[2];
}

static void hint_state(struct subscription *subscription, const redisReply *article)
{
    if (subscription->config.on_state != NULL && article_valid(article->str, (size_t)article->len))
        subscription->config.on_state(subscription->config.user, article->str,
                                      (size_t)article->len);
}

static void hint_change(struct subscription *subscription, const redisReply *number)
{
    char *end;
    unsigned long shard = strtoul(number->str, &end, 10);
    if (*end != '\0' || end == number->str || shard >= store_link_shards(subscription->store))
        return;
    store_link_counters(subscription->store)->hints++;
    subscription->config.on_hint(subscription->config.user, (uint32_t)shard);
}

static void on_message(void *user, const redisReply *reply)
{
    struct subscription *subscription = user;
    const redisReply *said = message_of(subscription, reply);
    if (said == NULL)
        return;
    if (strcmp(reply->element[1]->str, CHANGED_CHANNEL) == 0)
        hint_change(subscription, said);
    else if (strcmp(reply->element[1]->str, STATES_CHANNEL) == 0)
        hint_state(subscription, said);
}

static void on_up(void *user)
{
    const struct subscription *subscription = user;
    const char *words[] = {"SUBSCRIBE", CHANGED_CHANNEL, STATES_CHANNEL};
    const size_t bytes[] = {strlen(words[0]), strlen(words[1]), strlen(words[2])};
    (void)redis_link_send(subscription->redis, NULL, NULL,
                          subscription->config.on_state != NULL ? 3 : 2, words, bytes);
}

struct subscription *subscription_new(struct event_base *base, struct store_link *store,
                                      const struct subscription_config *config)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return NULL;
    subscription->config = *config;
    subscription->store = store;
    struct redis_link_config redis = config->redis;
    redis.on_message = on_message;
    redis.on_up = on_up;
    redis.on_down = NULL;
    redis.user = subscription;
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
