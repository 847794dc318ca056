/* Moves states between two sides that come and go. The table (states.h) decides what; this file
 * asks Redis, publishes, and waits. */
#include "state_sync.h"

#include "core/article.h"
#include "core/token_bucket.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "state_requests.h"
#include "stored_states.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 20       /* after the broker accepted nothing, or all that may go out at once */
#define RETRY_LOAD_MS 100 /* after a page could not be read */
#define LOOKING_MAX 16    /* asked for under way, of a shard; others come with their totals */
#define LOOK_MS 1000      /* at the clock, at least: it may be set */
#define SAY_MS 10000      /* between two lines about the same */
#define LOST_S 10       /* Redis may lose writes of this time before it was away: 2 s, plus skew */
#define CONNECT_MS 5000 /* for each server, once a store is followed, before one is away */
#define NOTHING_LOST UINT64_MAX

struct state_sync_shard {
    bool loaded;
    bool loading; /* a page was asked for */
    bool another; /* the broker may hold what another store had */
    uint32_t run; /* of the shard's presence: answers of an earlier one are ignored */
    unsigned looking;
    uint64_t lost_from_us; /* what Redis may have lost since the shard was away */
    char cursor[24];
};

struct state_sync {
    struct state_sync_config config;
    struct store_link *link;
    struct publish *publish;
    const struct publisher *publisher;
    struct states *states;
    struct event *pump;  /* more may be published */
    struct event *clock; /* a state opens or closes */
    struct event *load;  /* asks for a page again */
    struct state_requests *requests;
    char kept[STORE_IDENTITY_ID_BYTES + 1]; /* the store whose states are in the table */
    struct state_sync_shard shard[STORE_IDENTITY_MAX_SHARDS];
    struct token_bucket due; /* states that may be published */
    uint64_t said_ms;
    uint64_t followed_ms; /* since when the store is */
    struct state_sync_stats stats;
};

/* One request. */
struct asked {
    struct state_sync *sync;
    uint32_t shard;
    uint32_t run;
    size_t bytes;
    char article[ARTICLE_MAX_BYTES];
};

static struct asked *state_sync_ask(struct state_sync *sync, uint32_t shard, const char *article,
                                    size_t bytes)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL)
        return NULL;
    asked->sync = sync;
    asked->shard = shard;
    asked->run = sync->shard[shard].run;
    asked->bytes = bytes;
    memcpy(asked->article, article, bytes);
    return asked;
}

static bool is_current(const struct asked *asked)
{
    return asked->run == asked->sync->shard[asked->shard].run;
}

/* Before a store is followed: any. */
static uint32_t state_sync_shard_of(const struct state_sync *sync, const char *article,
                                    size_t bytes)
{
    return store_link_ready(sync->link)
               ? article_shard(article, bytes, store_link_shards(sync->link))
               : 0;
}

/* A line each SAY_MS. */
static void state_sync_say(struct state_sync *sync, const char *msg, const char *article,
                           size_t bytes)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (sync->said_ms != 0 && now_ms - sync->said_ms < SAY_MS)
        return;
    sync->said_ms = now_ms;
    log_line(LOG_LEVEL_WARNING, msg, "article=%.*s", (int)bytes, article);
}

static void state_sync_say_full(struct state_sync *sync, const char *article, size_t bytes)
{
    state_sync_say(sync, "option max_states is reached: ignoring a state", article, bytes);
}

/* ---- publishing ---- */

static int publish_due(struct state_sync *sync, const struct states_due *due)
{
    char json[ARTICLE_STATE_TEXT_MAX_BYTES] = "";
    if (due->state != NULL)
        article_state_write(due->state, due->article, due->bytes, due->open, json, sizeof json);
    return publish_state(sync->publish, due->article, due->bytes, json);
}

static bool may_publish(struct state_sync *sync)
{
    return token_bucket_refill(&sync->due, clock_monotonic_ms()) >= 1 &&
           !publish_backed_up(sync->publish);
}

static void state_sync_pump(struct state_sync *sync)
{
    struct states_due due;
    while (publish_ready(sync->publish) && states_next_due(sync->states, clock_unix_ms(), &due)) {
        if (!may_publish(sync) || publish_due(sync, &due) != 0) {
            events_arm(sync->pump, RETRY_MS);
            return;
        }
        token_bucket_take(&sync->due, 1);
        sync->stats.published++;
        states_published(sync->states);
    }
}

static void on_pump(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    state_sync_pump(user);
}

/* ---- time ---- */

static void state_sync_shows(void *user, const char *article, size_t bytes)
{
    struct state_sync *sync = user;
    sync->config.on_shown(sync->config.user, article, bytes);
}

static void watch_clock(struct state_sync *sync)
{
    uint64_t next_ms = states_next_ms(sync->states, clock_unix_ms());
    if (next_ms == UINT64_MAX)
        event_del(sync->clock);
    else
        events_arm(sync->clock, next_ms < LOOK_MS ? next_ms : LOOK_MS);
}

static void on_clock(evutil_socket_t fd, short what, void *user)
{
    struct state_sync *sync = user;
    (void)fd;
    (void)what;
    states_expire(sync->states, clock_unix_ms(), state_sync_shows, sync);
    watch_clock(sync);
    state_sync_pump(sync);
}

/* The table has changed. */
static void state_sync_table_changed(struct state_sync *sync)
{
    watch_clock(sync);
    state_sync_pump(sync);
}

static void on_stored(void *user)
{
    state_sync_table_changed(user);
}

/* ---- loading what Redis has ---- */

static void state_sync_load(struct state_sync *sync, uint32_t shard);
static void judge_shard(struct state_sync *sync, uint32_t shard);

static void load_again(struct state_sync *sync)
{
    if (!evtimer_pending(sync->load, NULL))
        events_arm(sync->load, RETRY_LOAD_MS);
}

static uint32_t shards_loaded(const struct state_sync *sync)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < store_link_shards(sync->link); i++)
        n += sync->shard[i].loaded;
    return n;
}

static void state_sync_loaded(struct state_sync *sync, uint32_t shard)
{
    struct state_sync_shard *one = &sync->shard[shard];
    one->loaded = true;
    states_load_end(sync->states, shard, one->lost_from_us, clock_unix_ms());
    one->lost_from_us = NOTHING_LOST;
    if (shards_loaded(sync) == store_link_shards(sync->link))
        log_line(LOG_LEVEL_INFO, "states loaded", "articles=%zu",
                 states_stats(sync->states).articles);
    judge_shard(sync, shard);
    state_requests_pump(sync->requests);
    states_shown(sync->states, shard, clock_unix_ms(), state_sync_shows, sync);
    state_sync_table_changed(sync);
}

static void on_states(void *user, uint32_t shard, const struct stored_states_entry *states,
                      size_t n, const char *cursor)
{
    struct asked *asked = user;
    struct state_sync *sync = asked->sync;
    struct state_sync_shard *own = &sync->shard[shard];
    bool current = is_current(asked);
    free(asked);
    if (!current)
        return;
    own->loading = false;
    if (cursor == NULL) {
        load_again(sync);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct stored_states_entry *one = &states[i];
        if (one->state == NULL)
            states_load_skip(sync->states, one->article, one->article_bytes);
        else if (!states_stored(sync->states, one->article, one->article_bytes, one->state,
                                clock_unix_ms()))
            state_sync_say_full(sync, one->article, one->article_bytes);
    }
    snprintf(own->cursor, sizeof own->cursor, "%s", cursor);
    state_sync_table_changed(sync);
    if (strcmp(cursor, "0") == 0)
        state_sync_loaded(sync, shard);
    else
        state_sync_load(sync, shard);
}

/* The shard's next page. */
static void state_sync_load(struct state_sync *sync, uint32_t shard)
{
    struct state_sync_shard *one = &sync->shard[shard];
    if (one->loaded || one->loading || !store_link_shard_ready(sync->link, shard))
        return;
    struct asked *asked = state_sync_ask(sync, shard, "", 0);
    if (asked == NULL ||
        stored_states_page(sync->link, shard, one->cursor, on_states, asked) != 0) {
        free(asked);
        load_again(sync);
        return;
    }
    one->loading = true;
}

static void on_load(evutil_socket_t fd, short what, void *user)
{
    struct state_sync *sync = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < store_link_shards(sync->link); i++)
        state_sync_load(sync, i);
}

/* ---- the contract ---- */

void state_sync_store_ready(struct state_sync *sync)
{
    bool another = strcmp(sync->kept, store_link_id(sync->link)) != 0;
    sync->followed_ms = clock_monotonic_ms();
    snprintf(sync->kept, sizeof sync->kept, "%s", store_link_id(sync->link));
    states_store(sync->states, store_link_shards(sync->link), another);
    for (uint32_t i = 0; i < STORE_IDENTITY_MAX_SHARDS && another; i++) {
        sync->shard[i].loaded = false;
        sync->shard[i].lost_from_us = NOTHING_LOST;
    }
}

static void shard_ready(struct state_sync *sync, uint32_t shard)
{
    struct state_sync_shard *one = &sync->shard[shard];
    one->run++;
    one->loaded = one->loading = false;
    snprintf(one->cursor, sizeof one->cursor, "0");
    states_load_begin(sync->states, shard);
    judge_shard(sync, shard);
    state_sync_load(sync, shard);
    state_requests_retry(sync->requests);
}

static void shard_away(struct state_sync *sync, uint32_t shard)
{
    struct state_sync_shard *one = &sync->shard[shard];
    uint64_t from_us = clock_unix_us() - (uint64_t)LOST_S * 1000000;
    one->run++;
    one->loading = false;
    if (one->loaded && from_us < one->lost_from_us)
        one->lost_from_us = from_us;
}

void state_sync_shard(struct state_sync *sync, uint32_t shard, bool ready)
{
    if (ready)
        shard_ready(sync, shard);
    else
        shard_away(sync, shard);
}

static void judge_shard(struct state_sync *sync, uint32_t shard)
{
    struct state_sync_shard *one = &sync->shard[shard];
    if (!publisher_running(sync->publisher, shard))
        return;
    one->another = one->another || publisher_another(sync->publisher);
    if (!one->loaded)
        return;
    states_judge(sync->states, shard, one->another, publisher_lost_from(sync->publisher, shard),
                 clock_unix_ms());
    one->another = false;
}

void state_sync_judge(struct state_sync *sync)
{
    for (uint32_t i = 0; i < store_link_shards(sync->link); i++)
        judge_shard(sync, i);
    state_requests_pump(sync->requests);
    state_sync_table_changed(sync);
}

void state_sync_broker_connected(struct state_sync *sync)
{
    states_new_broker(sync->states, clock_unix_ms());
}

void state_sync_heard(struct state_sync *sync, const char *article, const char *payload,
                      size_t bytes)
{
    struct article_state state;
    size_t article_bytes = strlen(article);
    bool good = true, room;
    if (!article_valid(article, article_bytes))
        return;
    if (bytes > 0)
        good = article_state_parse(&state, article, article_bytes, payload, bytes) == 0;
    if (bytes == 0)
        room = states_heard_nothing(sync->states, article, article_bytes);
    else
        room = states_heard(sync->states, article, article_bytes, good ? &state : NULL,
                            clock_unix_ms());
    if (!room)
        state_sync_say_full(sync, article, article_bytes);
    if (!good) {
        sync->stats.bad++;
        state_sync_say(sync, "the broker retains an invalid state of an article", article,
                       article_bytes);
    }
    state_requests_pump(sync->requests);
    state_sync_pump(sync);
}

void state_sync_broker_ready(struct state_sync *sync)
{
    for (uint32_t i = 0; i < store_link_shards(sync->link); i++)
        if (sync->shard[i].loaded)
            states_shown(sync->states, i, clock_unix_ms(), state_sync_shows, sync);
    state_sync_judge(sync);
    state_sync_table_changed(sync);
}

enum publisher_view state_sync_total(struct state_sync *sync, const struct lookup_total *total,
                                     bool repeat)
{
    const char *article = total->article;
    size_t bytes = total->article_bytes;
    if (total->state == NULL && states_stats(sync->states).articles == 0)
        return PUBLISHER_SHOW;
    uint64_t now_ms = clock_unix_ms();
    if (!states_stored(sync->states, article, bytes, total->state, now_ms))
        state_sync_say_full(sync, article, bytes);
    if (repeat)
        states_again(sync->states, article, bytes);
    if (states_stats(sync->states).due > 0 || total->state != NULL)
        state_sync_table_changed(sync);
    if (states_stats(sync->states).requests > 0)
        state_requests_pump(sync->requests);
    if (total->state == NULL || !article_state_hides(total->state, now_ms)) {
        states_set_total_retained(sync->states, article, bytes, true);
        return PUBLISHER_SHOW;
    }
    if (!states_total_retained(sync->states, article, bytes))
        return PUBLISHER_HIDDEN;
    if (publish_no_total(sync->publish, article, bytes) != 0)
        return PUBLISHER_LATER;
    states_set_total_retained(sync->states, article, bytes, false);
    return PUBLISHER_HIDDEN;
}

/* The answer to a state requested out of turn. */
static void on_looked(void *user, const struct lookup_total *totals, size_t n)
{
    struct asked *asked = user;
    struct state_sync *sync = asked->sync;
    sync->shard[asked->shard].looking--;
    if (is_current(asked) && n == 1 && totals[0].outcome != LOOKUP_BAD &&
        totals[0].outcome != LOOKUP_AWAY)
        (void)state_sync_total(sync, &totals[0], false);
    free(asked);
}

void state_sync_changed(struct state_sync *sync, const char *article, size_t bytes)
{
    const struct lookup_article one = {.id = article, .bytes = bytes};
    uint32_t shard = state_sync_shard_of(sync, article, bytes);
    struct asked *asked = NULL;
    if (sync->shard[shard].looking < LOOKING_MAX)
        asked = state_sync_ask(sync, shard, article, bytes);
    if (asked == NULL)
        return;
    if (lookup_totals(sync->link, &one, 1, on_looked, asked) != 0) {
        free(asked);
        return;
    }
    sync->shard[shard].looking++;
}

struct state_sync_stats state_sync_stats(const struct state_sync *sync)
{
    struct state_sync_stats stats = sync->stats;
    stats.stored = state_requests_stored(sync->requests);
    stats.states = states_stats(sync->states);
    return stats;
}

/* ---- making ---- */

struct state_sync *state_sync_new(struct event_base *base, const struct state_sync_config *config)
{
    struct states_config states = {.max = config->max_states};
    struct state_sync *sync = calloc(1, sizeof *sync);
    double rate = (double)config->publish_rate;
    if (sync == NULL)
        return NULL;
    memcpy(states.seed, config->seed, sizeof states.seed);
    sync->config = *config;
    token_bucket_init(&sync->due, rate, rate / 10 > 1 ? rate / 10 : 1);
    for (uint32_t i = 0; i < STORE_IDENTITY_MAX_SHARDS; i++)
        sync->shard[i].lost_from_us = NOTHING_LOST;
    sync->states = states_new(&states);
    sync->pump = evtimer_new(base, on_pump, sync);
    sync->clock = evtimer_new(base, on_clock, sync);
    sync->load = evtimer_new(base, on_load, sync);
    const struct state_requests_config requests = {
        .states = sync->states, .on_stored = on_stored, .user = sync};
    sync->requests = state_requests_new(base, &requests);
    if (sync->states == NULL || sync->pump == NULL || sync->clock == NULL || sync->load == NULL ||
        sync->requests == NULL) {
        state_sync_free(sync);
        return NULL;
    }
    return sync;
}

void state_sync_connect(struct state_sync *sync, struct store_link *link, struct publish *publish,
                        const struct publisher *publisher)
{
    sync->publisher = publisher;
    sync->link = link;
    state_requests_connect(sync->requests, link);
    sync->publish = publish;
}

void state_sync_free(struct state_sync *sync)
{
    if (sync == NULL)
        return;
    events_free(sync->pump);
    events_free(sync->clock);
    events_free(sync->load);
    state_requests_free(sync->requests);
    states_free(sync->states);
    free(sync);
}

bool state_sync_is_loaded(const struct state_sync *sync)
{
    bool late = clock_monotonic_ms() - sync->followed_ms > CONNECT_MS;
    for (uint32_t i = 0; i < store_link_shards(sync->link); i++)
        if (!sync->shard[i].loaded && (!late || store_link_shard_there(sync->link, i)))
            return false;
    return store_link_ready(sync->link) && shards_loaded(sync) > 0;
}
