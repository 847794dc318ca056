/* All wishes of a shard that is ready are on their way at once, up to a bound. */
#include "wish_store.h"

#include "article_write.h"

#include "core/article.h"
#include "core/article_state.h"
#include "daemon/clock.h"
#include "daemon/events.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 100    /* after Redis could not be asked */
#define STORING_MAX 256 /* wishes of a shard under way */

struct wish_store {
    struct wish_store_config config;
    struct store_link *link;
    struct event *again; /* wishes are to be tried again */
    unsigned storing[STORE_IDENTITY_MAX_SHARDS];
    uint64_t stored;
};

/* A wish on its way. */
struct storing {
    struct wish_store *store;
    uint32_t shard;
    size_t bytes;
    char article[ARTICLE_MAX_BYTES];
};

static void try_again(struct wish_store *store, uint32_t later_ms)
{
    if (!evtimer_pending(store->again, NULL))
        events_arm(store->again, later_ms);
}

static void on_answer(void *user, uint64_t version, uint32_t later_ms)
{
    struct storing *storing = user;
    struct wish_store *store = storing->store;
    struct states *states = store->config.states;
    store->storing[storing->shard]--;
    if (later_ms > 0) {
        states_wish_back(states, storing->article, storing->bytes);
        try_again(store, later_ms);
    } else {
        store->stored++;
        states_wish_stored(states, storing->article, storing->bytes, version, clock_unix_ms());
        store->config.on_stored(store->config.user);
        wish_store_pump(store);
    }
    free(storing);
}

static int send_wish(struct wish_store *store, uint32_t shard, const struct states_wish *wish)
{
    char json[ARTICLE_STATE_TEXT_MAX_BYTES] = "";
    struct storing *storing = calloc(1, sizeof *storing);
    if (storing == NULL)
        return -1;
    storing->store = store;
    storing->shard = shard;
    storing->bytes = wish->bytes;
    memcpy(storing->article, wish->article, wish->bytes);
    if (!wish->away)
        article_state_write(&wish->state, NULL, 0, false, json, sizeof json);
    if (article_write_state(store->link, wish->article, wish->bytes, json, wish->above, on_answer,
                            storing) == 0)
        return 0;
    free(storing);
    return -1;
}

/* False where it cannot be stored now. A shard that is away tries again once it is ready. */
static bool store_wish(struct wish_store *store, const struct states_wish *wish)
{
    uint32_t shard = article_shard(wish->article, wish->bytes, store_link_shards(store->link));
    if (!store_link_shard_ready(store->link, shard))
        return false;
    if (store->storing[shard] == STORING_MAX || send_wish(store, shard, wish) != 0) {
        try_again(store, RETRY_MS);
        return false;
    }
    store->storing[shard]++;
    return true;
}

void wish_store_pump(struct wish_store *store)
{
    struct states_wish wish;
    while (store_link_ready(store->link) && states_take_wish(store->config.states, &wish))
        if (!store_wish(store, &wish))
            states_wish_back(store->config.states, wish.article, wish.bytes);
}

void wish_store_retry(struct wish_store *store)
{
    states_retry_wishes(store->config.states);
    wish_store_pump(store);
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    wish_store_retry(user);
}

struct wish_store *wish_store_new(struct event_base *base, const struct wish_store_config *config)
{
    struct wish_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->config = *config;
    store->again = evtimer_new(base, on_again, store);
    if (store->again == NULL) {
        wish_store_free(store);
        return NULL;
    }
    return store;
}

void wish_store_connect(struct wish_store *store, struct store_link *link)
{
    store->link = link;
}

void wish_store_free(struct wish_store *store)
{
    if (store == NULL)
        return;
    events_free(store->again);
    free(store);
}

uint64_t wish_store_stored(const struct wish_store *store)
{
    return store->stored;
}
