/* The mark names, for each shard, the change up to which the broker holds everything. What it does
 * not vouch for is published again, or compared with Redis; DESIGN says why. */
#include "publisher_mark.h"

#include "core/article.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "publisher_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MARK_MS 1000
#define LOST_US 10000000 /* before it was away Redis may lose: its last 2 s, and skew of clocks */

/* The score up to which the broker lacks nothing. */
static uint64_t covered(const struct publisher *publisher, uint32_t shard)
{
    return cover_covered(&publisher->cover, shard,
                         conflate_oldest_waiting(publisher->table, shard));
}

/* ---- reading ---- */

/* The broker's mark is of this store. */
static bool is_ours(const struct publisher *publisher)
{
    return publisher->mark.has_read &&
           publisher->mark.read.shards == store_link_shards(publisher->link) &&
           strcmp(publisher->mark.read.store, store_link_id(publisher->link)) == 0;
}

/* Redis is known to have lost nothing since `run`. */
static bool is_same_run(const struct publisher *publisher, const char *run)
{
    return run[0] != '\0' && strcmp(run, store_link_run(publisher->link, 0)) == 0;
}

/* Whether the broker must first list what it retains, because nothing else does. */
static bool must_list(const struct publisher *publisher)
{
    if (publisher->mark.listed)
        return false;
    if (publisher->mark.new_broker)
        return !is_ours(publisher) || !is_same_run(publisher, publisher->mark.read.run);
    return !is_same_run(publisher, publisher->mark.redis_run) &&
           conflate_stats(publisher->table).evicted > 0;
}

/* What the broker holds, by its mark. */
static void read_mark(struct publisher *publisher)
{
    bool ours = is_ours(publisher);
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        publisher->mark.low[i] = publisher->mark.written[i] =
            ours ? publisher->mark.read.covered[i] : 0;
    snprintf(publisher->mark.written_run, sizeof publisher->mark.written_run, "%s",
             ours ? publisher->mark.read.run : "");
    if (publisher->mark.has_read && !ours)
        publisher->mark.another = publisher->mark.raise = true;
    if (ours ? !is_same_run(publisher, publisher->mark.read.run)
             : publisher->mark.has_read || publisher->mark.retained > 0)
        publisher->mark.compared = false;
    cover_clear(&publisher->cover);
    log_line(LOG_LEVEL_INFO, ours ? "going on from the broker's mark" : "publishing all again",
             "mark=%s",
             ours                       ? "good"
             : publisher->mark.has_read ? "of another store"
                                        : "absent");
}

/* What Redis may have lost of the broker's totals. Scores between the covered one and the newest
 * change do not show that: an article may have gone back below both. */
static void judge_losses(struct publisher *publisher, bool is_new)
{
    bool lost = !publisher->mark.compared;
    for (uint32_t i = 0; i < publisher->cover.shards; i++) {
        uint64_t low = publisher->mark.low[i], from = low > LOST_US ? low - LOST_US : 0;
        publisher->mark.lost_from[i] = lost && is_new && is_ours(publisher) ? from : UINT64_MAX;
        if (lost)
            publisher->mark.low[i] = from;
    }
    if (publisher->mark.raise)
        publisher->mark.floor = conflate_highest(publisher->table);
    publisher->mark.raise = false;
    if (lost)
        conflate_doubt(publisher->table);
}

static void begin_store(struct publisher *publisher)
{
    if (publisher->mark.store[0] != '\0') {
        /* The mark that was read may be older than what another store put in its place. */
        publisher->mark.has_read = false;
        publisher->mark.another = publisher->mark.raise = publisher->mark.new_broker = true;
        publisher->mark.compared = false;
        conflate_reset(publisher->table, true);
    }
    publisher->mark.floor = 0;
    snprintf(publisher->mark.store, sizeof publisher->mark.store, "%s",
             store_link_id(publisher->link));
    cover_init(&publisher->cover, store_link_shards(publisher->link));
}

void publisher_mark_read(struct publisher *publisher, const struct publish_mark *mark)
{
    publisher->mark.new_broker = true;
    publisher->mark.listing = publisher->mark.listed = false;
    publisher->mark.retained = 0;
    publisher->mark.has_read = mark != NULL;
    if (mark != NULL)
        publisher->mark.read = *mark;
}

void publisher_mark_away(struct publisher *publisher)
{
    publisher->mark.listing = false;
}

bool publisher_mark_begin(struct publisher *publisher)
{
    struct publisher_mark *mark = &publisher->mark;
    if (strcmp(mark->store, store_link_id(publisher->link)) != 0 ||
        publisher->cover.shards != store_link_shards(publisher->link))
        begin_store(publisher);
    if (must_list(publisher)) {
        mark->retained = 0;
        mark->listing = publish_list(publisher->publish) == 0;
        return false;
    }
    bool is_new = mark->new_broker;
    if (!is_same_run(publisher, mark->redis_run) && !is_new)
        mark->compared = false;
    mark->another = mark->another && !mark->compared;
    if (is_new)
        read_mark(publisher);
    mark->new_broker = false;
    judge_losses(publisher, is_new);
    snprintf(mark->redis_run, sizeof mark->redis_run, "%s", store_link_run(publisher->link, 0));
    return true;
}

void publisher_mark_pause(struct publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        if (publisher->live.shard[i].followed)
            publisher->mark.low[i] = covered(publisher, i);
}

void publisher_mark_retained(struct publisher *publisher, const char *article, size_t bytes,
                             uint64_t version)
{
    if (!publisher->mark.listing || publisher->cover.shards == 0)
        return;
    publisher->mark.retained++;
    conflate_retained(publisher->table, article_shard(article, bytes, publisher->cover.shards),
                      article, bytes, version);
}

bool publisher_mark_listed(struct publisher *publisher)
{
    if (!publisher->mark.listing)
        return false;
    publisher->mark.listing = false;
    publisher->mark.listed = true;
    return true;
}

/* ---- writing ---- */

void publisher_mark_check_compared(struct publisher *publisher)
{
    if (!publisher->running || publisher->mark.compared)
        return;
    bool open = !publisher_live_follows(publisher) || cover_open(&publisher->cover) > 0;
    if (conflate_doubts(publisher->table) || (publisher->mark.another && open))
        return;
    publisher->mark.compared = true;
    log_line(LOG_LEVEL_INFO, "all that was published is in Redis", "touched=%" PRIu64,
             publisher->stats.touched);
}

/* Writes the mark if it has changed. Returns whether one is in flight. While versions of another
 * store must still be passed, the broker keeps that store's mark, so a feed that starts in the
 * meantime begins again. */
static bool write_mark(struct publisher *publisher)
{
    uint64_t now_covered[COVER_MAX_SHARDS];
    if (!publisher->running || !publisher_live_follows(publisher) ||
        (publisher->mark.another && !publisher->mark.compared))
        return false;
    const char *run =
        publisher->mark.compared ? publisher->mark.redis_run : publisher->mark.written_run;
    bool changed = strcmp(run, publisher->mark.written_run) != 0;
    for (uint32_t i = 0; i < publisher->cover.shards; i++) {
        now_covered[i] = covered(publisher, i);
        changed = changed || now_covered[i] != publisher->mark.written[i];
    }
    if (!changed || publish_mark(publisher->publish, store_link_id(publisher->link), run,
                                 publisher->cover.shards, now_covered) != 0)
        return false;
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        publisher->mark.written[i] = now_covered[i];
    if (run != publisher->mark.written_run)
        memcpy(publisher->mark.written_run, run, sizeof publisher->mark.written_run);
    return true;
}

static void on_marker(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    write_mark(user);
}

void publisher_mark_check_stopped(struct publisher *publisher)
{
    if (!publisher->stopping)
        return;
    if (publisher->running) {
        if (publisher->live.fetching > 0 || publisher->stats.conflate.waiting > 0)
            return;
        if (publish_marking(publisher->publish) || write_mark(publisher))
            return; /* on_marked comes here again */
    }
    publisher->config.on_stopped(publisher->config.user);
}

/* ---- making ---- */

int publisher_mark_init(struct publisher *publisher, struct event_base *base)
{
    publisher->mark.compared = true; /* nothing was published */
    publisher->mark.marker = event_new(base, -1, EV_PERSIST, on_marker, publisher);
    return publisher->mark.marker != NULL ? events_arm(publisher->mark.marker, MARK_MS) : -1;
}

void publisher_mark_fini(struct publisher *publisher)
{
    events_free(publisher->mark.marker);
}
