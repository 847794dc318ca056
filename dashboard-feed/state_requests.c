/* All requests of a shard that is ready are on their way at once, up to a bound. */
#include "state_requests.h"

#include "article_write.h"

#include "core/article.h"
#include "core/article_state.h"
#include "daemon/clock.h"
#include "daemon/events.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 100    /* after Redis could not be asked */
#define STORING_MAX 256 /* requests of a shard under way */

struct state_requests {
    struct state_requests_config config;
    struct store_link *link;
    struct event *again; /* retries requests */
    unsigned storing[STORE_IDENTITY_MAX_SHARDS];
    uint64_t stored;
};

/* A request on its way. */
struct storing {
    struct state_requests *store;
    uint32_t shard;
    size_t bytes;
    char article[ARTICLE_MAX_BYTES];
};

static void try_again(struct state_requests *store, uint32_t later_ms)
{
    if (!evtimer_pending(store->again, NULL))
        events_arm(store->again, later_ms);
}

static void on_answer(void *user, uint64_t version, uint32_t later_ms)
{
    struct storing *storing = user;
    struct state_requests *store = storing->store;
    struct states *states = store->config.states;
    store->storing[storing->shard]--;
    if (later_ms > 0) {
        states_request_back(states, storing->article, storing->bytes);
        try_again(store, later_ms);
    } else {
        store->stored++;
        states_request_stored(states, storing->article, storing->bytes, version, clock_unix_ms());
        store->config.on_stored(store->config.user);
        state_requests_pump(store);
    }
    free(storing);
}

static int send_request(struct state_requests *store, uint32_t shard,
                        const struct states_request *request)
{
    char json[ARTICLE_STATE_TEXT_MAX_BYTES] = "";
    struct storing *storing = calloc(1, sizeof *storing);
    if (storing == NULL)
        return -1;
    storing->store = store;
    storing->shard = shard;
    storing->bytes = request->bytes;
    memcpy(storing->article, request->article, request->bytes);
    if (!request->away)
        article_state_write(&request->state, NULL, 0, false, json, sizeof json);
    if (article_write_state(store->link, request->article, request->bytes, json, request->above,
                            on_answer, storing) == 0)
        return 0;
    free(storing);
    return -1;
}

/* False if it cannot be stored now. A shard that is away tries again once it is ready. */
static bool store_request(struct state_requests *store, const struct states_request *request)
{
    uint32_t shard =
        article_shard(request->article, request->bytes, store_link_shards(store->link));
    if (!store_link_shard_ready(store->link, shard))
        return false;
    if (store->storing[shard] == STORING_MAX || send_request(store, shard, request) != 0) {
        try_again(store, RETRY_MS);
        return false;
    }
    store->storing[shard]++;
    return true;
}

void state_requests_pump(struct state_requests *store)
{
    struct states_request request;
    while (store_link_ready(store->link) && states_take_request(store->config.states, &request))
        if (!store_request(store, &request))
            states_request_back(store->config.states, request.article, request.bytes);
}

void state_requests_retry(struct state_requests *store)
{
    states_retry_requests(store->config.states);
    state_requests_pump(store);
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    state_requests_retry(user);
}

struct state_requests *state_requests_new(struct event_base *base,
                                          const struct state_requests_config *config)
{
    struct state_requests *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->config = *config;
    store->again = evtimer_new(base, on_again, store);
    if (store->again == NULL) {
        state_requests_free(store);
        return NULL;
    }
    return store;
}

void state_requests_connect(struct state_requests *store, struct store_link *link)
{
    store->link = link;
}

void state_requests_free(struct state_requests *store)
{
    if (store == NULL)
        return;
    events_free(store->again);
    free(store);
}

uint64_t state_requests_stored(const struct state_requests *store)
{
    return store->stored;
}
