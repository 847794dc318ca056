#include "keeper.h"

#include "core/article.h"
#include "core/token_bucket.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 20        /* after the broker took nothing, or all that may go out at once */
#define RETRY_STORE_MS 100 /* after Redis took nothing */
#define STORING_MAX 16     /* wishes under way */
#define LOOKING_MAX 64     /* states asked for under way; others are found with their totals */
#define LOOK_MS 1000       /* at the clock, at least: it may be set */
#define SAY_MS 10000       /* between two lines about the same */
#define LOST_S 10 /* Redis may lose what it took so long before it was away: 2 s, and skew */
#define NOTHING_LOST UINT64_MAX

struct keeper {
    struct keeper_config config;
    struct follow *follow;
    struct publish *publish;
    const struct publisher *publisher;
    struct states *states;
    struct event *pump;                   /* more may be published */
    struct event *clock;                  /* a state opens or closes */
    struct event *store;                  /* wishes are to be tried again, or the load is */
    char kept[FOLLOW_STORE_ID_BYTES + 1]; /* the store whose states are in the table */
    bool loaded;
    bool another;   /* the broker may hold what another store had */
    uint32_t run;   /* of the store's presence: answers of an earlier one are ignored */
    bool loading;   /* a page was asked for */
    uint32_t shard; /* that is being loaded */
    char cursor[24];
    uint64_t lost_from_us; /* what Redis may have lost since it was away */
    unsigned storing, looking;
    struct token_bucket due; /* states that may be published */
    uint64_t said_ms;
    struct keeper_stats stats;
};

/* One request. */
struct asked {
    struct keeper *keeper;
    uint32_t run;
    size_t bytes;
    char article[ARTICLE_MAX_BYTES];
};

static struct asked *ask(struct keeper *keeper, const char *article, size_t bytes)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL)
        return NULL;
    asked->keeper = keeper;
    asked->run = keeper->run;
    asked->bytes = bytes;
    memcpy(asked->article, article, bytes);
    return asked;
}

/* A line each SAY_MS. */
static void say(struct keeper *keeper, const char *msg, const char *article, size_t bytes)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (keeper->said_ms != 0 && now_ms - keeper->said_ms < SAY_MS)
        return;
    keeper->said_ms = now_ms;
    log_line(LOG_LEVEL_WARNING, msg, "article=%.*s", (int)bytes, article);
}

static void say_full(struct keeper *keeper, const char *article, size_t bytes)
{
    say(keeper, "option max_states is reached: a state is neither stored nor published", article,
        bytes);
}

/* ---- publishing ---- */

static int publish_due(struct keeper *keeper, const struct states_due *due)
{
    char json[ARTICLE_STATE_TEXT_MAX_BYTES] = "";
    if (due->state != NULL)
        article_state_write(due->state, due->article, due->bytes, due->open, json, sizeof json);
    return publish_state(keeper->publish, due->article, due->bytes, json);
}

static bool may_publish(struct keeper *keeper)
{
    return token_bucket_refill(&keeper->due, clock_monotonic_ms()) >= 1 &&
           !publish_backed_up(keeper->publish);
}

static void pump(struct keeper *keeper)
{
    struct states_due due;
    while (publish_ready(keeper->publish) &&
           states_next_due(keeper->states, clock_unix_ms(), &due)) {
        if (!may_publish(keeper) || publish_due(keeper, &due) != 0) {
            events_arm(keeper->pump, RETRY_MS);
            return;
        }
        token_bucket_take(&keeper->due, 1);
        keeper->stats.published++;
        states_published(keeper->states);
    }
}

static void on_pump(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    pump(user);
}

/* ---- time ---- */

static void shows(void *user, const char *article, size_t bytes)
{
    struct keeper *keeper = user;
    keeper->config.on_shown(keeper->config.user, article, bytes);
}

static void watch_clock(struct keeper *keeper)
{
    uint64_t next_ms = states_next_ms(keeper->states, clock_unix_ms());
    if (next_ms == UINT64_MAX)
        event_del(keeper->clock);
    else
        events_arm(keeper->clock, next_ms < LOOK_MS ? next_ms : LOOK_MS);
}

static void on_clock(evutil_socket_t fd, short what, void *user)
{
    struct keeper *keeper = user;
    (void)fd;
    (void)what;
    states_expire(keeper->states, clock_unix_ms(), shows, keeper);
    watch_clock(keeper);
    pump(keeper);
}

/* The table has changed. */
static void changed(struct keeper *keeper)
{
    watch_clock(keeper);
    pump(keeper);
}

/* ---- storing what operators say ---- */

static void store(struct keeper *keeper);

static void on_kept(void *user, uint64_t version, uint32_t later_ms)
{
    struct asked *asked = user;
    struct keeper *keeper = asked->keeper;
    keeper->storing--;
    if (later_ms > 0) {
        states_wish_back(keeper->states, asked->article, asked->bytes);
        if (!evtimer_pending(keeper->store, NULL))
            events_arm(keeper->store, later_ms);
    } else {
        keeper->stats.stored++;
        states_wish_stored(keeper->states, asked->article, asked->bytes, version, clock_unix_ms());
        changed(keeper);
        store(keeper);
    }
    free(asked);
}

static void store(struct keeper *keeper)
{
    struct states_wish wish;
    while (keeper->storing < STORING_MAX && follow_ready(keeper->follow) &&
           states_take_wish(keeper->states, &wish)) {
        char json[ARTICLE_STATE_TEXT_MAX_BYTES] = "";
        struct asked *asked = ask(keeper, wish.article, wish.bytes);
        if (!wish.away)
            article_state_write(&wish.state, NULL, 0, false, json, sizeof json);
        if (asked == NULL || follow_keep(keeper->follow, wish.article, wish.bytes, json, wish.above,
                                         on_kept, asked) != 0) {
            free(asked);
            states_wish_back(keeper->states, wish.article, wish.bytes);
            events_arm(keeper->store, RETRY_STORE_MS);
            return;
        }
        keeper->storing++;
    }
}

/* ---- loading what Redis has ---- */

static void load(struct keeper *keeper);

static void loaded(struct keeper *keeper)
{
    keeper->loaded = true;
    states_load_end(keeper->states, keeper->lost_from_us, clock_unix_ms());
    keeper->lost_from_us = NOTHING_LOST;
    log_line(LOG_LEVEL_INFO, "states loaded", "articles=%zu",
             states_stats(keeper->states)->articles);
    keeper_judge(keeper);
    store(keeper);
    states_shown(keeper->states, clock_unix_ms(), shows, keeper);
    changed(keeper);
}

static void on_states(void *user, uint32_t shard, const struct follow_state *states, size_t n,
                      const char *cursor)
{
    struct asked *asked = user;
    struct keeper *keeper = asked->keeper;
    bool current = asked->run == keeper->run;
    (void)shard;
    free(asked);
    if (!current)
        return;
    keeper->loading = false;
    if (cursor == NULL) {
        events_arm(keeper->store, RETRY_STORE_MS);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct follow_state *one = &states[i];
        if (one->state == NULL)
            states_load_skip(keeper->states, one->article, one->article_bytes);
        else if (!states_stored(keeper->states, one->article, one->article_bytes, one->state,
                                clock_unix_ms()))
            say_full(keeper, one->article, one->article_bytes);
    }
    snprintf(keeper->cursor, sizeof keeper->cursor, "%s", cursor);
    if (strcmp(cursor, "0") == 0)
        keeper->shard++;
    changed(keeper);
    load(keeper);
}

/* The next page, or the end. */
static void load(struct keeper *keeper)
{
    if (keeper->loaded || keeper->loading || !follow_ready(keeper->follow))
        return;
    if (keeper->shard == follow_shards(keeper->follow)) {
        loaded(keeper);
        return;
    }
    struct asked *asked = ask(keeper, "", 0);
    if (asked == NULL ||
        follow_states(keeper->follow, keeper->shard, keeper->cursor, on_states, asked) != 0) {
        free(asked);
        events_arm(keeper->store, RETRY_STORE_MS);
        return;
    }
    keeper->loading = true;
}

static void on_store(evutil_socket_t fd, short what, void *user)
{
    struct keeper *keeper = user;
    (void)fd;
    (void)what;
    states_retry_wishes(keeper->states);
    load(keeper);
    store(keeper);
}

/* ---- the contract ---- */

void keeper_store_ready(struct keeper *keeper)
{
    bool another = strcmp(keeper->kept, follow_store(keeper->follow)) != 0;
    snprintf(keeper->kept, sizeof keeper->kept, "%s", follow_store(keeper->follow));
    keeper->run++;
    keeper->loaded = keeper->loading = false;
    keeper->shard = 0;
    snprintf(keeper->cursor, sizeof keeper->cursor, "0");
    states_load_begin(keeper->states, another);
    if (another)
        keeper->lost_from_us = NOTHING_LOST;
    states_retry_wishes(keeper->states);
    keeper_judge(keeper);
    load(keeper);
    store(keeper);
}

void keeper_judge(struct keeper *keeper)
{
    uint64_t lost_from_us[FOLLOW_MAX_SHARDS];
    if (!publisher_running(keeper->publisher))
        return;
    keeper->another = keeper->another || publisher_another(keeper->publisher);
    if (!keeper->loaded)
        return;
    for (uint32_t i = 0; i < follow_shards(keeper->follow); i++)
        lost_from_us[i] = publisher_lost_from(keeper->publisher, i);
    states_judge(keeper->states, keeper->another, lost_from_us, follow_shards(keeper->follow),
                 clock_unix_ms());
    keeper->another = false;
    store(keeper);
    changed(keeper);
}

void keeper_store_away(struct keeper *keeper)
{
    uint64_t from_us = clock_unix_us() - (uint64_t)LOST_S * 1000000;
    keeper->run++;
    keeper->loading = false;
    if (keeper->loaded && from_us < keeper->lost_from_us)
        keeper->lost_from_us = from_us;
}

void keeper_broker_connected(struct keeper *keeper)
{
    states_new_broker(keeper->states, clock_unix_ms());
}

void keeper_heard(struct keeper *keeper, const char *article, const char *payload, size_t bytes)
{
    struct article_state state;
    size_t article_bytes = strlen(article);
    bool good = true, room;
    if (!article_valid(article, article_bytes))
        return;
    if (bytes > 0)
        good = article_state_parse(&state, article, article_bytes, payload, bytes) == 0;
    if (bytes == 0)
        room = states_heard_nothing(keeper->states, article, article_bytes);
    else
        room = states_heard(keeper->states, article, article_bytes, good ? &state : NULL,
                            clock_unix_ms());
    if (!room)
        say_full(keeper, article, article_bytes);
    if (!good) {
        keeper->stats.bad++;
        say(keeper, "the broker retains an invalid state of an article", article, article_bytes);
    }
    store(keeper);
    pump(keeper);
}

void keeper_broker_ready(struct keeper *keeper)
{
    if (keeper->loaded)
        states_shown(keeper->states, clock_unix_ms(), shows, keeper);
    keeper_judge(keeper);
    changed(keeper);
}

enum publisher_view keeper_total(struct keeper *keeper, const struct follow_total *total,
                                 bool repeat)
{
    const char *article = total->article;
    size_t bytes = total->article_bytes;
    const struct states_stats *stats = states_stats(keeper->states);
    uint64_t now_ms;

    if (total->state == NULL && stats->articles == 0)
        return PUBLISHER_SHOW;
    now_ms = clock_unix_ms();
    if (!states_stored(keeper->states, article, bytes, total->state, now_ms))
        say_full(keeper, article, bytes);
    if (repeat)
        states_again(keeper->states, article, bytes);
    if (stats->due > 0 || total->state != NULL)
        changed(keeper);
    if (stats->wishes > 0)
        store(keeper);
    if (total->state == NULL || !article_state_hides(total->state, now_ms)) {
        states_total_is(keeper->states, article, bytes, true);
        return PUBLISHER_SHOW;
    }
    if (!states_total_stands(keeper->states, article, bytes))
        return PUBLISHER_HIDDEN;
    if (publish_no_total(keeper->publish, article, bytes) != 0)
        return PUBLISHER_LATER;
    states_total_is(keeper->states, article, bytes, false);
    return PUBLISHER_HIDDEN;
}

/* The answer to a state requested out of turn. */
static void on_looked(void *user, const struct follow_total *totals, size_t n)
{
    struct asked *asked = user;
    struct keeper *keeper = asked->keeper;
    keeper->looking--;
    if (asked->run == keeper->run && totals != NULL && n == 1 && totals[0].outcome != FOLLOW_BAD)
        (void)keeper_total(keeper, &totals[0], false);
    free(asked);
}

void keeper_changed(struct keeper *keeper, const char *article, size_t bytes)
{
    const struct follow_article one = {.id = article, .bytes = bytes};
    struct asked *asked = keeper->looking < LOOKING_MAX ? ask(keeper, article, bytes) : NULL;
    if (asked == NULL)
        return;
    if (follow_lookup(keeper->follow, &one, 1, on_looked, asked) != 0) {
        free(asked);
        return;
    }
    keeper->looking++;
}

struct keeper_stats keeper_stats(const struct keeper *keeper)
{
    struct keeper_stats stats = keeper->stats;
    stats.states = *states_stats(keeper->states);
    return stats;
}

/* ---- making ---- */

struct keeper *keeper_new(struct event_base *base, const struct keeper_config *config)
{
    struct states_config states = {.max = config->max_states};
    struct keeper *keeper = calloc(1, sizeof *keeper);
    double rate = (double)config->publish_rate;
    if (keeper == NULL)
        return NULL;
    memcpy(states.seed, config->seed, sizeof states.seed);
    keeper->config = *config;
    token_bucket_init(&keeper->due, rate, rate / 10 > 1 ? rate / 10 : 1);
    keeper->lost_from_us = NOTHING_LOST;
    keeper->states = states_new(&states);
    keeper->pump = evtimer_new(base, on_pump, keeper);
    keeper->clock = evtimer_new(base, on_clock, keeper);
    keeper->store = evtimer_new(base, on_store, keeper);
    if (keeper->states == NULL || keeper->pump == NULL || keeper->clock == NULL ||
        keeper->store == NULL) {
        keeper_free(keeper);
        return NULL;
    }
    return keeper;
}

void keeper_connect(struct keeper *keeper, struct follow *follow, struct publish *publish,
                    const struct publisher *publisher)
{
    keeper->publisher = publisher;
    keeper->follow = follow;
    keeper->publish = publish;
}

void keeper_free(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    events_free(keeper->pump);
    events_free(keeper->clock);
    events_free(keeper->store);
    states_free(keeper->states);
    free(keeper);
}
