/* Puts the publisher's parts together: a run begins when both sides are ready and ends when one
 * goes away. What each part does is in publisher_state.h. */
#include "publisher.h"

#include "core/article.h"
#include "publisher_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- beginning and pausing ---- */

static void publisher_begin(struct publisher *publisher)
{
    if (publisher->running || publisher->mark.listing || !store_link_ready(publisher->link) ||
        !publish_ready(publisher->publish) || !publisher_mark_begin(publisher))
        return;
    publisher->running = true;
    publisher->run++;
    publisher_resync_begin(publisher);
    publisher_live_begin(publisher);
}

static void publisher_pause(struct publisher *publisher)
{
    if (!publisher->running)
        return;
    publisher_mark_pause(publisher);
    publisher->running = false;
    conflate_reset(publisher->table, false);
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

void publisher_hint(struct publisher *publisher, uint32_t shard)
{
    if (publisher->running)
        publisher_live_poll(publisher, shard);
}

void publisher_renew(struct publisher *publisher, const char *article, size_t bytes)
{
    if (!publisher->running)
        return;
    conflate_again(publisher->table, article_shard(article, bytes, publisher->cover.shards),
                   article, bytes);
    publisher_live_pump_soon(publisher);
}

void publisher_broker_ready(struct publisher *publisher, const struct publish_mark *mark)
{
    publisher_mark_read(publisher, mark);
    conflate_reset(publisher->table, true);
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
        publisher_begin(publisher);
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
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL)
        return NULL;
    publisher->config = *config;
    struct conflate_config conflate = {
        .shards = COVER_MAX_SHARDS,
        .interval_ms = config->interval_ms,
        .repeat_ms = config->repeat_ms,
        .max_articles = config->max_articles,
    };
    memcpy(conflate.seed, config->seed, sizeof conflate.seed);
    publisher->table = conflate_new(&conflate);
    publisher_send_init(publisher);
    if (publisher->table == NULL || publisher_live_init(publisher, base) != 0 ||
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
    publisher_live_fini(publisher);
    publisher_resync_fini(publisher);
    publisher_mark_fini(publisher);
    conflate_free(publisher->table);
    free(publisher);
}

uint64_t publisher_lost_from(const struct publisher *publisher, uint32_t shard)
{
    return publisher->mark.lost_from[shard];
}

bool publisher_another(const struct publisher *publisher)
{
    return publisher->mark.another;
}

bool publisher_running(const struct publisher *publisher)
{
    return publisher->running;
}

struct publisher_stats publisher_stats(const struct publisher *publisher)
{
    struct publisher_stats stats = publisher->stats;
    stats.comparing = !publisher->mark.compared;
    stats.conflate = conflate_stats(publisher->table);
    stats.open_shards = cover_open(&publisher->cover);
    return stats;
}
