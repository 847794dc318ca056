/* The mark names, for each shard, the change up to which the broker holds everything, and the run
 * of the shard's server. Totals that the mark does not cover are published again, or compared with
 * Redis; DESIGN has the reason. */
#include "publisher_mark.h"

#include "core/article.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "publisher_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MARK_MS 1000
#define LOST_US 10000000 /* from before it was away Redis may lose this: 2 s, and clock skew */

/* The score up to which the broker has every change. */
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

/* The shard's server is known to have lost nothing since `run`. */
static bool is_same_run(const struct publisher *publisher, uint32_t shard, const char *run)
{
    return run[0] != '\0' && strcmp(run, store_link_run(publisher->link, shard)) == 0;
}

/* Whether the broker must first list what it retains, because nothing else does. */
static bool must_list(const struct publisher *publisher, uint32_t shard)
{
    const struct publisher_mark_shard *one = &publisher->mark.shard[shard];
    if (publisher->mark.listed)
        return false;
    if (one->is_new)
        return !is_ours(publisher) ||
               !is_same_run(publisher, shard, publisher->mark.read.run[shard]);
    return !is_same_run(publisher, shard, one->run) && conflate_stats(publisher->table).evicted > 0;
}

/* What the broker holds, by its mark. */
static void read_mark(struct publisher *publisher)
{
    struct publisher_mark *mark = &publisher->mark;
    bool ours = is_ours(publisher);
    for (uint32_t i = 0; i < publisher->cover.shards; i++) {
        struct publisher_mark_shard *one = &mark->shard[i];
        one->is_new = true;
        one->low = one->written = ours ? mark->read.covered[i] : 0;
        one->lost_from = UINT64_MAX;
        one->compared = one->compared && (ours || !mark->has_read);
        snprintf(one->written_run, sizeof one->written_run, "%s", ours ? mark->read.run[i] : "");
        cover_clear(&publisher->cover, i);
    }
    if (mark->has_read && !ours)
        mark->another = mark->raise = true;
    mark->new_broker = false;
    log_line(LOG_LEVEL_INFO, ours ? "resuming from the broker's mark" : "publishing all again",
             "mark=%s",
             ours             ? "good"
             : mark->has_read ? "of another store"
                              : "absent");
}

/* Whether all that was published of the shard is known to be in this run of its server, if it was
 * so before. */
static bool is_still_compared(const struct publisher *publisher, uint32_t shard)
{
    const struct publisher_mark *mark = &publisher->mark;
    const struct publisher_mark_shard *one = &mark->shard[shard];
    if (!one->is_new)
        return is_same_run(publisher, shard, one->run);
    if (is_ours(publisher))
        return is_same_run(publisher, shard, mark->read.run[shard]);
    return !mark->has_read && mark->retained == 0;
}

/* What Redis may have lost of the broker's totals. Scores between the covered one and the newest
 * change do not show that: an article may have gone back below both. */
static void judge_losses(struct publisher *publisher, uint32_t shard)
{
    struct publisher_mark_shard *one = &publisher->mark.shard[shard];
    uint64_t from = one->low > LOST_US ? one->low - LOST_US : 0;
    bool lost = !one->compared;
    one->lost_from = lost && one->is_new && is_ours(publisher) ? from : UINT64_MAX;
    if (lost)
        one->low = from;
    if (publisher->mark.raise)
        publisher->mark.floor = conflate_highest(publisher->table);
    publisher->mark.raise = false;
    if (lost)
        conflate_resync(publisher->table, shard);
}

static void begin_store(struct publisher *publisher)
{
    struct publisher_mark *mark = &publisher->mark;
    if (mark->store[0] != '\0') {
        /* The mark that was read may be older than what another store put in its place. */
        mark->has_read = false;
        mark->another = mark->raise = mark->new_broker = true;
        for (uint32_t i = 0; i < COVER_MAX_SHARDS; i++)
            mark->shard[i].compared = false;
        conflate_reset(publisher->table);
    }
    mark->floor = 0;
    snprintf(mark->store, sizeof mark->store, "%s", store_link_id(publisher->link));
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

void publisher_mark_begin(struct publisher *publisher)
{
    struct publisher_mark *mark = &publisher->mark;
    if (strcmp(mark->store, store_link_id(publisher->link)) != 0 ||
        publisher->cover.shards != store_link_shards(publisher->link))
        begin_store(publisher);
    if (mark->new_broker)
        read_mark(publisher);
}

bool publisher_mark_begin_shard(struct publisher *publisher, uint32_t shard)
{
    struct publisher_mark *mark = &publisher->mark;
    struct publisher_mark_shard *one = &mark->shard[shard];
    if (must_list(publisher, shard)) {
        mark->retained = 0;
        mark->listing = publish_list(publisher->publish) == 0;
        return false;
    }
    one->compared = one->compared && is_still_compared(publisher, shard);
    judge_losses(publisher, shard);
    one->is_new = false;
    snprintf(one->run, sizeof one->run, "%s", store_link_run(publisher->link, shard));
    return true;
}

void publisher_mark_pause_shard(struct publisher *publisher, uint32_t shard)
{
    if (publisher->live.shard[shard].followed)
        publisher->mark.shard[shard].low = covered(publisher, shard);
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

bool publisher_mark_compared(const struct publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        if (!publisher->mark.shard[i].compared)
            return false;
    return true;
}

void publisher_mark_check_compared(struct publisher *publisher)
{
    if (publisher_mark_compared(publisher))
        return;
    for (uint32_t i = 0; i < publisher->cover.shards; i++) {
        bool open = !publisher->live.shard[i].followed || publisher->cover.shard[i].n > 0;
        if (publisher->shard[i].running && !conflate_resyncing(publisher->table, i) &&
            !(publisher->mark.another && open))
            publisher->mark.shard[i].compared = true;
    }
    if (!publisher_mark_compared(publisher))
        return;
    publisher->mark.another = false;
    log_line(LOG_LEVEL_INFO, "Redis has everything that was published", "touched=%" PRIu64,
             publisher->stats.touched);
}

/* A shard's part of the mark. */
static void mark_shard(const struct publisher *publisher, uint32_t shard, struct publish_mark *out)
{
    const struct publisher_mark_shard *one = &publisher->mark.shard[shard];
    bool known = one->compared && !one->is_new;
    out->covered[shard] =
        publisher->live.shard[shard].followed ? covered(publisher, shard) : one->low;
    snprintf(out->run[shard], sizeof out->run[shard], "%s", known ? one->run : one->written_run);
}

/* Writes the mark if it has changed. Returns whether one is in flight. While versions of another
 * store must still be passed, the broker keeps that store's mark, so a feed that starts in the
 * meantime begins again. */
static bool write_mark(struct publisher *publisher)
{
    struct publisher_mark *mark = &publisher->mark;
    struct publish_mark now = {.shards = publisher->cover.shards};
    bool changed = false, followed = false;
    for (uint32_t i = 0; i < now.shards; i++) {
        mark_shard(publisher, i, &now);
        changed = changed || now.covered[i] != mark->shard[i].written ||
                  strcmp(now.run[i], mark->shard[i].written_run) != 0;
        followed = followed || publisher->live.shard[i].followed;
    }
    if (!changed || !followed || mark->another)
        return false;
    snprintf(now.store, sizeof now.store, "%s", store_link_id(publisher->link));
    if (publish_mark(publisher->publish, &now) != 0)
        return false;
    for (uint32_t i = 0; i < now.shards; i++) {
        mark->shard[i].written = now.covered[i];
        memcpy(mark->shard[i].written_run, now.run[i], sizeof now.run[i]);
    }
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
    for (uint32_t i = 0; i < COVER_MAX_SHARDS; i++)
        publisher->mark.shard[i].compared = true; /* nothing was published */
    publisher->mark.marker = event_new(base, -1, EV_PERSIST, on_marker, publisher);
    return publisher->mark.marker != NULL ? events_arm(publisher->mark.marker, MARK_MS) : -1;
}

void publisher_mark_fini(struct publisher *publisher)
{
    events_free(publisher->mark.marker);
}
