/* Listens to Redis's hints about changes (FORMATS.md 5). A hint may be lost, so nothing depends on
 * one but how soon a change is seen. It has a connection of its own, because one that subscribes
 * can do nothing else. Loop thread only. */
#ifndef TALLY_FEED_SUBSCRIPTION_H
#define TALLY_FEED_SUBSCRIPTION_H

#include "store_link.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

struct subscription;

struct subscription_config {
    struct redis_link_config redis; /* how to reach it; its callbacks are not used */
    /* Something in this shard changed; only while the store link is ready. */
    void (*on_hint)(void *user, uint32_t shard);
    /* The state of this article (a valid id) changed; only while the store link is ready. NULL: not
     * listened for. */
    void (*on_state)(void *user, const char *article, size_t bytes);
    void *user;
};

/* `store` outlives it. NULL on no memory. */
struct subscription *subscription_new(struct event_base *base, struct store_link *store,
                                      const struct subscription_config *config);
void subscription_free(struct subscription *subscription);

/* redis_link_set_password. */
int subscription_set_password(struct subscription *subscription, const char *password);

/* The store link's connection was lost: reconnects, too. The server cannot be asked over this
 * connection whether it is still a primary. */
void subscription_reset(struct subscription *subscription);

#endif
