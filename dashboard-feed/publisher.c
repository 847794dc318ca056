/* Puts the publisher's parts together: it works while a store is followed and the broker is there.
 * Within that, each shard has its own runs, from when it is ready until it is away. What each part
 * does is in publisher_state.h. */
#include "publisher.h"

#include "core/article.h"
#include "daemon/events.h"
#include "publisher_state.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 1000 /* for shards that could not begin: the broker could not be asked to list */

/* ---- beginning and pausing ---- */

static void shard_begin(struct publisher *publisher, uint32_t shard)
{
    struct publisher_shard *one = &publisher->shard[shard];
    if (!publisher->running || one->running || publisher->mark.listing ||
        !store_link_shard_ready(publisher->link, shard) ||
        !publisher_mark_begin_shard(publisher, shard))
        return;
    one->running = true;
    one->run++;
    publisher_live_follow(publisher, shard);
    publisher_live_pump_soon(publisher);
}

static void shard_pause(struct publisher *publisher, uint32_t shard)
{
    struct publisher_shard *one = &publisher->shard[shard];
    if (!one->running)
        return;
    publisher_mark_pause_shard(publisher, shard);
    one->running = false;
    conflate_reset_shard(publisher->table, shard);
    publisher_live_leave(publisher, shard);
    publisher_resync_leave(publisher, shard);
}

static void begin_shards(struct publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        shard_begin(publisher, i);
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    if (publisher->running)
        begin_shards(publisher);
}

static void publisher_begin(struct publisher *publisher)
{
    if (publisher->running || !store_link_ready(publisher->link) ||
        !publish_ready(publisher->publish))
        return;
    publisher_mark_begin(publisher);
    publisher->running = true;
    begin_shards(publisher);
}

static void publisher_pause(struct publisher *publisher)
{
    if (!publisher->running)
        return;
    for (uint32_t i = 0; i < COVER_MAX_SHARDS; i++)
        shard_pause(publisher, i);
    publisher->running = false;
    publisher_live_pause(publisher);
    publisher_resync_pause(publisher);
    publisher_mark_check_stopped(publisher);
}

void publisher_store_ready(struct publisher *publisher)
{
    publisher_begin(publisher);
}

void publisher_store_away(struct publisher *publisher)
{
    publisher_pause(publisher);
}

void publisher_shard(struct publisher *publisher, uint32_t shard, bool ready)
{
    if (ready) {
        shard_begin(publisher, shard);
    } else {
        shard_pause(publisher, shard);
        if (publisher->running)
            publisher_mark_check_stopped(publisher);
    }
}

void publisher_hint(struct publisher *publisher, uint32_t shard)
{
    if (publisher->shard[shard].running)
        publisher_live_poll(publisher, shard);
}

void publisher_renew(struct publisher *publisher, const char *article, size_t bytes)
{
    if (!publisher->running)
        return;
    uint32_t shard = article_shard(article, bytes, publisher->cover.shards);
    if (!publisher->shard[shard].running)
        return;
    conflate_again(publisher->table, shard, article, bytes);
    publisher_live_pump_soon(publisher);
}

void publisher_broker_ready(struct publisher *publisher, const struct publish_mark *mark)
{
    publisher_mark_read(publisher, mark);
    conflate_reset(publisher->table);
    publisher_begin(publisher);
}

void publisher_broker_away(struct publisher *publisher)
{
    publisher_mark_away(publisher);
    publisher_pause(publisher);
}

void publisher_retained(struct publisher *publisher, const char *article, size_t bytes,
                        uint64_t version)
{
    publisher_mark_retained(publisher, article, bytes, version);
}

void publisher_listed(struct publisher *publisher)
{
    if (publisher_mark_listed(publisher))
        begin_shards(publisher);
}

void publisher_marked(struct publisher *publisher)
{
    publisher_mark_check_stopped(publisher);
}

void publisher_stop(struct publisher *publisher)
{
    publisher->stopping = true;
    conflate_hurry(publisher->table);
    if (publisher->running)
        publisher_live_pump(publisher);
    else
        publisher_mark_check_stopped(publisher);
}

/* ---- making ---- */

struct publisher *publisher_new(struct event_base *base, const struct publisher_config *config)
{
    /* publish_interval_ms is 250 by default; a total may wait longer for a broker that is slow. */
    static const double delay_bounds_s[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                            1,    2.5,   5,    10,  30,   60};
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL)
        return NULL;
    publisher->config = *config;
    histogram_init(&publisher->stats.delay_s, delay_bounds_s,
                   sizeof delay_bounds_s / sizeof delay_bounds_s[0]);
    struct conflate_config conflate = {
        .shards = COVER_MAX_SHARDS,
        .interval_ms = config->interval_ms,
        .repeat_ms = config->repeat_ms,
        .max_articles = config->max_articles,
    };
    memcpy(conflate.seed, config->seed, sizeof conflate.seed);
    publisher->table = conflate_new(&conflate);
    publisher_send_init(publisher);
    publisher->again = event_new(base, -1, EV_PERSIST, on_again, publisher);
    if (publisher->table == NULL || publisher->again == NULL ||
        events_arm(publisher->again, AGAIN_MS) != 0 || publisher_live_init(publisher, base) != 0 ||
        publisher_resync_init(publisher, base) != 0 || publisher_mark_init(publisher, base) != 0) {
        publisher_free(publisher);
        return NULL;
    }
    return publisher;
}

void publisher_connect(struct publisher *publisher, struct store_link *link,
                       struct publish *publish)
{
    publisher->link = link;
    publisher->publish = publish;
}

void publisher_free(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    events_free(publisher->again);
    publisher_live_fini(publisher);
    publisher_resync_fini(publisher);
    publisher_mark_fini(publisher);
    conflate_free(publisher->table);
    free(publisher);
}

uint64_t publisher_lost_from(const struct publisher *publisher, uint32_t shard)
{
    return publisher->mark.shard[shard].lost_from;
}

bool publisher_another(const struct publisher *publisher)
{
    return publisher->mark.another;
}

bool publisher_running(const struct publisher *publisher, uint32_t shard)
{
    return publisher->shard[shard].running;
}

struct publisher_stats publisher_stats(const struct publisher *publisher)
{
    struct publisher_stats stats = publisher->stats;
    stats.comparing = !publisher_mark_compared(publisher);
    stats.conflate = conflate_stats(publisher->table);
    stats.open_shards = cover_open(&publisher->cover);
    return stats;
}
