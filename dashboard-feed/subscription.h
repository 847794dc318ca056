/* Listens to Redis's hints about changes (FORMATS.md 5): two channels a shard, which say that the
 * shard has changes, and that an article's state has changed. A hint may be lost, so nothing
 * depends on one but how soon a change is seen. The connections are redis_nodes' (store_link.h).
 * Loop thread only. */
#ifndef TALLY_FEED_SUBSCRIPTION_H
#define TALLY_FEED_SUBSCRIPTION_H

#include "store_link.h"

#include "redis/redis_link.h"

#include <stddef.h>
#include <stdint.h>

struct subscription {
    struct store_link *store; /* outlives it */
    /* Something in this shard may have changed; only while the shard is ready. */
    void (*on_hint)(void *user, uint32_t shard);
    /* The state of this article (a valid id) changed; only while its shard is ready.
     * NULL: nobody asks. */
    void (*on_state)(void *user, const char *article, size_t bytes);
    void *user;
};

/* A connection for listening to the shard's server is up: subscribes. */
void subscription_begin(const struct subscription *subscription, struct redis_link *link,
                        uint32_t shard);

/* Takes a message, or the confirmation of a channel. What was hinted before that is lost, so it
 * counts as a hint. */
void subscription_take(const struct subscription *subscription, const redisReply *reply);

#endif
