#include "publisher.h"

#include "core/article.h"
#include "core/token_bucket.h"
#include "cover.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_LIMIT 500  /* changes a poll */
#define POLL_SPACE_MS 3 /* between two polls of a shard, however many hints come */
#define BATCH 200       /* totals a lookup */
#define BATCHES_MAX 4   /* lookups under way */
#define RETRY_MS 20     /* after the broker or Redis took nothing */
#define RESYNC_TICK_MS 20
#define TOUCHES_MAX 16     /* under way */
#define LOST_US 10000000   /* before it was away Redis may lose: its last 2 s, and skew of clocks */
#define KINDS_WAIT_MS 3000 /* for the name of a new kind; follow reads the store each second */

struct shard {
    bool followed; /* its newest change was asked for: live from there */
    bool asking;   /* a poll is under way */
    bool again;    /* poll once more */
    uint64_t asked_ms;
    uint64_t low;    /* begin: the broker lacks nothing up to here */
    uint64_t marked; /* as the mark says */
};

struct publisher {
    struct publisher_config config;
    struct follow *follow;
    struct publish *publish;
    struct conflate *table;
    struct cover cover;
    struct shard shard[COVER_MAX_SHARDS];
    bool running;
    bool stopping;
    char store[FOLLOW_STORE_ID_BYTES + 1]; /* in the last run */
    char redis_run[FOLLOW_RUN_BYTES + 1];  /* likewise */
    bool new_broker;                       /* what it holds is what its mark says */
    bool has_mark;
    struct publish_mark mark;
    bool listing;      /* the broker tells what it retains … */
    bool listed;       /* … and did, over this connection */
    uint64_t retained; /* totals that it told of */
    bool another;      /* the broker may hold what another store had */
    bool raise;        /* … and the floor is to be put above all of it */
    bool compared;     /* all that was published is known to be in this run of Redis */
    uint64_t floor;    /* every article of this store gets a version above it */
    uint64_t lost_from[COVER_MAX_SHARDS];  /* publisher_lost_from */
    char marked_run[FOLLOW_RUN_BYTES + 1]; /* as the mark says */
    uint32_t run;                          /* answers of an earlier run are ignored */
    unsigned fetching;                     /* lookups of changed articles under way */
    unsigned touching;
    bool paging;               /* a page of a resync is under way */
    struct token_bucket due;   /* totals that may be published */
    struct token_bucket again; /* totals that may be published again, or compared */
    uint64_t ticks_ms;         /* time of `again`: it fills only while the resync ticks */
    struct token_bucket touch; /* articles that may be touched */
    uint64_t unknown_since_ms; /* a kind without a name was seen first; 0 none */
    struct event *poll;        /* each second: asks every shard */
    struct event *soon;        /* polls that were spaced out */
    struct event *pump;        /* the next total is due */
    struct event *resync;      /* each RESYNC_TICK_MS while something is to be published again */
    struct event *marker;      /* each second */
    struct publisher_stats stats;
};

/* Of one request: to whom, and in which run it was made. */
struct asked {
    struct publisher *publisher;
    uint32_t run;
    size_t limit;     /* of a range */
    uint32_t shard;   /* of a page */
    uint64_t down_to; /* of a page: its lowest score; 0 the range ends here */
    uint32_t batch;   /* of a lookup of changed articles, as what follows */
    bool repeat[BATCH], compare[BATCH], silent[BATCH];
};

static struct asked *ask(struct publisher *publisher)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked != NULL)
        *asked = (struct asked){.publisher = publisher, .run = publisher->run};
    return asked;
}

static bool is_current(const struct asked *asked)
{
    return asked->publisher->running && asked->run == asked->publisher->run;
}

static uint32_t shards(const struct publisher *publisher)
{
    return publisher->cover.shards;
}

static bool all_followed(const struct publisher *publisher)
{
    for (uint32_t i = 0; i < shards(publisher); i++)
        if (!publisher->shard[i].followed)
            return false;
    return true;
}

static uint64_t covered(const struct publisher *publisher, uint32_t shard)
{
    return cover_covered(&publisher->cover, shard,
                         conflate_oldest_waiting(publisher->table, shard));
}

/* ---- publishing one total ---- */

enum result { SENT, HIDDEN, SKIPPED, STALE, REFUSED };

/* Whether to wait for a kind's name. The wait is bounded: a damaged store must not hold a total
 * back. */
static bool awaits_kind(struct publisher *publisher, const struct total *total)
{
    if (total_json_kinds_known(total, follow_kinds(publisher->follow))) {
        publisher->unknown_since_ms = 0;
        return false;
    }
    follow_reread(publisher->follow);
    if (publisher->unknown_since_ms == 0)
        publisher->unknown_since_ms = clock_monotonic_ms();
    if (clock_monotonic_ms() - publisher->unknown_since_ms < KINDS_WAIT_MS)
        return true;
    log_line(LOG_LEVEL_ERROR, "a total counts a kind that the store does not name", NULL);
    return false;
}

static void on_touched(void *user, uint64_t version, uint32_t later_ms)
{
    struct publisher *publisher = user;
    (void)version;
    publisher->touching--;
    publisher->stats.touched += later_ms == 0;
}

static bool may_touch(struct publisher *publisher)
{
    size_t left = token_bucket_refill(&publisher->touch, clock_monotonic_ms());
    return publisher->touching < TOUCHES_MAX && left >= 1;
}

/* The article's version in Redis is not above `above`, which was published or is retained: it is
 * touched. It comes again after the interval, touched or not, until it has a version above that. */
static enum result touch(struct publisher *publisher, const struct follow_total *found,
                         uint64_t above)
{
    publisher->stats.outdated++;
    if (!conflate_stale(publisher->table, found->shard, found->article, found->article_bytes,
                        clock_monotonic_ms()))
        return REFUSED;
    if (may_touch(publisher) &&
        follow_touch(publisher->follow, found->article, found->article_bytes, above, on_touched,
                     publisher) == 0) {
        publisher->touching++;
        token_bucket_take(&publisher->touch, 1);
    }
    return STALE;
}

/* Whether a total was found below what the broker or readers have. One that Redis does not know is
 * so only where it is being compared: else it may have been taken away. */
static bool is_stale(const struct publisher *publisher, const struct follow_total *found,
                     bool compare, uint64_t *above)
{
    uint64_t published = conflate_version(publisher->table, found->article, found->article_bytes);
    *above = published > publisher->floor ? published : publisher->floor;
    if (found->outcome == FOLLOW_FOUND)
        return found->total.version < published || found->total.version <= publisher->floor;
    return found->outcome == FOLLOW_NONE && compare && published > 0 &&
           !conflate_is_gone(publisher->table, found->article, found->article_bytes);
}

static enum result send_total(struct publisher *publisher, const struct follow_total *found,
                              bool repeat, bool compare, bool silent)
{
    enum publisher_view view = PUBLISHER_SHOW;
    uint64_t above;
    if (publisher->config.on_total != NULL && found->outcome != FOLLOW_BAD)
        view = publisher->config.on_total(publisher->config.user, found, repeat);
    if (view == PUBLISHER_LATER)
        return REFUSED;
    if (is_stale(publisher, found, compare, &above))
        return touch(publisher, found, above);
    if (found->outcome != FOLLOW_FOUND)
        return SKIPPED; /* bad ones were said by follow */
    if (silent && found->total.version ==
                      conflate_version(publisher->table, found->article, found->article_bytes))
        return SKIPPED;
    if (view == PUBLISHER_SHOW && found->total.forgotten) {
        if (publish_no_total(publisher->publish, found->article, found->article_bytes) != 0)
            return REFUSED;
        view = PUBLISHER_HIDDEN;
    }
    if (view == PUBLISHER_SHOW && awaits_kind(publisher, &found->total))
        return REFUSED;
    if (view == PUBLISHER_SHOW &&
        publish_total(publisher->publish, found->article, found->article_bytes, &found->total,
                      follow_kinds(publisher->follow)) != 0)
        return REFUSED;
    conflate_published(publisher->table, found->shard, found->article, found->article_bytes,
                       found->total.version, clock_monotonic_ms());
    if (found->total.forgotten)
        conflate_gone(publisher->table, found->article, found->article_bytes);
    return view == PUBLISHER_SHOW ? SENT : HIDDEN;
}

static void count_sent(struct publisher *publisher, const struct follow_total *found, bool repeat)
{
    if (repeat) {
        publisher->stats.repeated++;
        return;
    }
    publisher->stats.changed++;
    uint64_t now_us = clock_unix_us();
    if (now_us >= found->total.version) { /* else the clocks differ */
        publisher->stats.delay_us += now_us - found->total.version;
        publisher->stats.delays++;
    }
}

/* ---- stopping ---- */

static bool write_mark(struct publisher *publisher);

static void check_stopped(struct publisher *publisher)
{
    if (!publisher->stopping)
        return;
    if (publisher->running) {
        if (publisher->fetching > 0 || publisher->stats.conflate.waiting > 0)
            return;
        if (publish_marking(publisher->publish) || write_mark(publisher))
            return; /* on_marked comes here again */
    }
    publisher->config.on_stopped(publisher->config.user);
}

/* ---- changed articles, live ---- */

static void pump(struct publisher *publisher);

static void on_totals(void *user, const struct follow_total *totals, size_t n)
{
    struct asked *asked = user;
    struct publisher *publisher = asked->publisher;
    bool refused = totals == NULL;
    if (!is_current(asked))
        goto out;
    publisher->fetching--;
    if (totals == NULL) /* no memory, or the connection is about to end */
        conflate_give_back_batch(publisher->table, asked->batch);
    for (size_t i = 0; i < n && totals != NULL; i++) {
        const struct follow_total *one = &totals[i];
        switch (send_total(publisher, one, asked->repeat[i], asked->compare[i], asked->silent[i])) {
        case SENT:
            count_sent(publisher, one, asked->repeat[i]);
            break;
        case HIDDEN:
        case STALE:
            break;
        case SKIPPED:
            conflate_drop(publisher->table, one->article, one->article_bytes);
            break;
        case REFUSED:
            conflate_give_back(publisher->table, one->article, one->article_bytes);
            refused = true;
            break;
        }
    }
    if (refused)
        events_arm(publisher->pump, RETRY_MS);
    else
        pump(publisher);
out:
    free(asked);
}

/* How many totals may go out now. If thousands of articles change at once, one total of each per
 * publish_interval_ms would cost the broker more than the reactions, and nobody could read them. */
static size_t may_publish(struct publisher *publisher)
{
    if (publisher->stopping) /* what waits goes out now, or after the next start */
        return BATCH;
    size_t left = token_bucket_refill(&publisher->due, clock_monotonic_ms());
    return left < BATCH ? left : BATCH;
}

/* Fetches a batch of what is due. False where there is nothing, or it cannot be fetched now
 * (*retry). */
static bool fetch(struct publisher *publisher, bool *retry)
{
    struct conflate_due due[BATCH];
    struct follow_article articles[BATCH];
    size_t most = may_publish(publisher);
    if (most == 0 && conflate_next_ms(publisher->table, clock_monotonic_ms()) == 0) {
        publisher->stats.over_rate++;
        *retry = true;
    }
    size_t n = conflate_take(publisher->table, clock_monotonic_ms(), due, most);
    if (n == 0)
        return false;
    token_bucket_take(&publisher->due, n);
    struct asked *asked = ask(publisher);
    for (size_t i = 0; i < n; i++) {
        articles[i] = (struct follow_article){.id = due[i].article, .bytes = due[i].article_bytes};
        if (asked == NULL)
            continue;
        asked->batch = due[i].batch;
        asked->repeat[i] = due[i].repeat;
        asked->compare[i] = due[i].compare;
        asked->silent[i] = due[i].silent;
    }
    if (asked == NULL || follow_lookup(publisher->follow, articles, n, on_totals, asked) != 0) {
        for (size_t i = n; i-- > 0;)
            conflate_give_back(publisher->table, articles[i].id, articles[i].bytes);
        token_bucket_give_back(&publisher->due, n);
        free(asked);
        *retry = true;
        return false;
    }
    publisher->fetching++;
    return true;
}

static void pump(struct publisher *publisher)
{
    bool retry = false;
    if (!publisher->running)
        return;
    while (publisher->fetching < BATCHES_MAX) {
        if (publish_backed_up(publisher->publish)) {
            publisher->stats.held_back++;
            retry = true;
            break;
        }
        if (!fetch(publisher, &retry))
            break;
    }
    publisher->stats.conflate = conflate_stats(publisher->table);
    uint64_t next_ms = retry ? RETRY_MS
                       : publisher->fetching == BATCHES_MAX
                           ? UINT64_MAX
                           : conflate_next_ms(publisher->table, clock_monotonic_ms());
    if (next_ms == UINT64_MAX)
        event_del(publisher->pump);
    else
        events_arm(publisher->pump, next_ms > 0 ? next_ms : 1);
    check_stopped(publisher);
}

static void on_pump(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    pump(user);
}

/* ---- polling ---- */

static void poll_shard(struct publisher *publisher, uint32_t number);
static void follow_shard(struct publisher *publisher, uint32_t number);

static void on_changes(void *user, uint32_t number, const struct follow_change *changes, size_t n,
                       long got)
{
    struct asked *asked = user;
    struct publisher *publisher = asked->publisher;
    bool full = false;
    if (!is_current(asked))
        goto out;
    struct shard *shard = &publisher->shard[number];
    shard->asking = false;
    for (size_t i = 0; i < n && !full; i++) {
        const struct follow_change *one = &changes[i];
        full = one->article_bytes > 0 &&
               conflate_note(publisher->table, number, one->article, one->article_bytes,
                             one->version, clock_monotonic_ms()) == CONFLATE_FULL;
        if (!full)
            cover_heard(&publisher->cover, number, one->version);
    }
    bool more = shard->again || (n > 0 && (size_t)got == asked->limit);
    shard->again = false;
    if (more && got >= 0 && !full) /* where the table is full, the next second's poll goes on */
        poll_shard(publisher, number);
    pump(publisher);
out:
    free(asked);
}

static void poll_shard(struct publisher *publisher, uint32_t number)
{
    struct shard *shard = &publisher->shard[number];
    uint64_t now = clock_monotonic_ms();
    if (!publisher->running || !shard->followed || publisher->stopping)
        return;
    if (shard->asking || now - shard->asked_ms < POLL_SPACE_MS) {
        shard->again = true;
        if (!shard->asking && !event_pending(publisher->soon, EV_TIMEOUT, NULL))
            events_arm(publisher->soon, shard->asked_ms + POLL_SPACE_MS - now);
        return;
    }
    struct asked *asked = ask(publisher);
    if (asked == NULL)
        return;
    asked->limit = POLL_LIMIT;
    if (follow_range(publisher->follow, number, publisher->cover.shard[number].live, UINT64_MAX,
                     false, POLL_LIMIT, on_changes, asked) != 0) {
        free(asked);
        return;
    }
    shard->asking = true;
    shard->again = false;
    shard->asked_ms = now;
}

static void on_soon(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < shards(publisher); i++)
        if (publisher->shard[i].again && !publisher->shard[i].asking)
            poll_shard(publisher, i);
}

static void on_poll(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < shards(publisher); i++)
        if (publisher->running && !publisher->shard[i].followed && !publisher->shard[i].asking)
            follow_shard(publisher, i);
        else
            poll_shard(publisher, i);
}

/* ---- publishing again ---- */

static void next_page(struct publisher *publisher);

static void page_done(struct publisher *publisher, const struct asked *asked)
{
    publisher->paging = false;
    cover_done(&publisher->cover, asked->shard, asked->down_to);
    if (cover_open(&publisher->cover) > 0) {
        next_page(publisher);
        return;
    }
    log_line(LOG_LEVEL_INFO, "the broker lacks nothing", "republished=%" PRIu64,
             publisher->stats.republished);
}

/* Whether a republished total changed so recently that current viewers may see it for the first
 * time. If so, it is repeated like any change. Older ones were repeated, or will be shown on
 * demand. */
static bool is_recent(const struct publisher *publisher, const struct follow_total *found)
{
    return found->total.version + publisher->config.repeat_ms * 1000 > clock_unix_us();
}

static void on_page_totals(void *user, const struct follow_total *totals, size_t n)
{
    struct asked *asked = user;
    struct publisher *publisher = asked->publisher;
    if (!is_current(asked))
        goto out;
    publisher->paging = false;
    if (totals == NULL)
        goto out; /* the page is asked for again */
    for (size_t i = 0; i < n; i++) {
        enum result result = send_total(publisher, &totals[i], false, false, false);
        if (result == REFUSED)
            goto out;
        publisher->stats.republished += result == SENT;
        if (result == SENT && is_recent(publisher, &totals[i]))
            conflate_repeat(publisher->table, totals[i].article, totals[i].article_bytes);
    }
    token_bucket_take(&publisher->again, n);
    page_done(publisher, asked);
    pump(publisher); /* what was waiting may be published by this */
out:
    free(asked);
}

static void on_page(void *user, uint32_t number, const struct follow_change *changes, size_t n,
                    long got)
{
    struct asked *asked = user;
    struct publisher *publisher = asked->publisher;
    struct follow_article articles[BATCH];
    size_t wanted = 0;
    if (!is_current(asked))
        goto out;
    if (got < 0) {
        publisher->paging = false;
        goto out;
    }
    for (size_t i = 0; i < n && i < BATCH; i++) {
        const struct follow_change *one = &changes[i];
        asked->down_to = one->version;
        if (one->article_bytes > 0 &&
            !conflate_knows(publisher->table, one->article, one->article_bytes, one->version))
            articles[wanted++] =
                (struct follow_article){.id = one->article, .bytes = one->article_bytes};
    }
    asked->shard = number;
    if ((size_t)got < asked->limit || n == 0)
        asked->down_to = 0;
    if (wanted == 0)
        page_done(publisher, asked);
    else if (follow_lookup(publisher->follow, articles, wanted, on_page_totals, asked) == 0)
        return;
    else
        publisher->paging = false;
out:
    free(asked);
}

static void next_page(struct publisher *publisher)
{
    uint32_t number;
    struct cover_range range;
    size_t left = token_bucket_left(&publisher->again);
    if (!publisher->running || publisher->stopping || publisher->paging || left == 0 ||
        !all_followed(publisher) || !cover_next(&publisher->cover, &number, &range))
        return;
    if (publish_backed_up(publisher->publish)) {
        publisher->stats.held_back++;
        return;
    }
    struct asked *asked = ask(publisher);
    if (asked == NULL)
        return;
    asked->limit = left < BATCH ? left : BATCH;
    if (follow_range(publisher->follow, number, range.low, range.high, true, asked->limit, on_page,
                     asked) != 0)
        free(asked);
    else
        publisher->paging = true;
}

/* Whether all that was published is known to be in Redis, as it is now. */
static void check_compared(struct publisher *publisher)
{
    if (!publisher->running || publisher->compared)
        return;
    bool open = !all_followed(publisher) || cover_open(&publisher->cover) > 0;
    if (conflate_doubts(publisher->table) || (publisher->another && open))
        return;
    publisher->compared = true;
    log_line(LOG_LEVEL_INFO, "all that was published is in Redis", "touched=%" PRIu64,
             publisher->stats.touched);
}

static void on_resync(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    publisher->ticks_ms += RESYNC_TICK_MS;
    size_t left = token_bucket_refill(&publisher->again, publisher->ticks_ms);
    if (left >= 1 && !publish_backed_up(publisher->publish)) {
        size_t n = conflate_doubt_more(publisher->table, (left + 1) / 2);
        token_bucket_take(&publisher->again, n);
        if (n > 0)
            pump(publisher);
    }
    next_page(publisher);
    check_compared(publisher);
    if (publisher->compared && all_followed(publisher) && cover_open(&publisher->cover) == 0)
        event_del(publisher->resync);
}

/* ---- the mark ---- */

/* Writes the mark if it has changed. Returns whether one is in flight. While versions of another
 * store must still be passed, the broker keeps that store's mark, so a feed that starts in the
 * meantime begins again. */
static bool write_mark(struct publisher *publisher)
{
    uint64_t now_covered[COVER_MAX_SHARDS];
    if (!publisher->running || !all_followed(publisher) ||
        (publisher->another && !publisher->compared))
        return false;
    const char *run = publisher->compared ? publisher->redis_run : publisher->marked_run;
    bool changed = strcmp(run, publisher->marked_run) != 0;
    for (uint32_t i = 0; i < shards(publisher); i++) {
        now_covered[i] = covered(publisher, i);
        changed = changed || now_covered[i] != publisher->shard[i].marked;
    }
    if (!changed || publish_mark(publisher->publish, follow_store(publisher->follow), run,
                                 shards(publisher), now_covered) != 0)
        return false;
    for (uint32_t i = 0; i < shards(publisher); i++)
        publisher->shard[i].marked = now_covered[i];
    if (run != publisher->marked_run)
        memcpy(publisher->marked_run, run, sizeof publisher->marked_run);
    return true;
}

static void on_marker(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    write_mark(user);
}

void publisher_marked(struct publisher *publisher)
{
    check_stopped(publisher);
}

/* ---- beginning and pausing ---- */

static void on_top(void *user, uint32_t number, const struct follow_change *changes, size_t n,
                   long got)
{
    struct asked *asked = user;
    struct publisher *publisher = asked->publisher;
    struct shard *shard = &publisher->shard[number];
    if (!is_current(asked))
        goto out;
    shard->asking = false;
    if (got < 0) /* no memory: each second's poll asks again; or the connection is about to end */
        goto out;
    cover_follow(&publisher->cover, number, shard->low, n > 0 ? changes[0].version : 0);
    shard->followed = true;
    if (!event_pending(publisher->resync, EV_TIMEOUT, NULL))
        events_arm(publisher->resync, RESYNC_TICK_MS);
    poll_shard(publisher, number);
out:
    free(asked);
}

/* Asks for its newest change. Where that cannot be sent, each second's poll does. */
static void follow_shard(struct publisher *publisher, uint32_t number)
{
    struct asked *asked = ask(publisher);
    if (asked == NULL ||
        follow_range(publisher->follow, number, 0, UINT64_MAX, true, 1, on_top, asked) != 0)
        free(asked);
    else
        publisher->shard[number].asking = true;
}

/* The broker's mark is of this store. */
static bool is_ours(const struct publisher *publisher)
{
    return publisher->has_mark && publisher->mark.shards == follow_shards(publisher->follow) &&
           strcmp(publisher->mark.store, follow_store(publisher->follow)) == 0;
}

/* Redis is known to have lost nothing since `run`. */
static bool is_same_run(const struct publisher *publisher, const char *run)
{
    return run[0] != '\0' && strcmp(run, follow_run(publisher->follow)) == 0;
}

/* Whether the broker must first list what it retains, because nothing else does. */
static bool must_list(const struct publisher *publisher)
{
    if (publisher->listed)
        return false;
    if (publisher->new_broker)
        return !is_ours(publisher) || !is_same_run(publisher, publisher->mark.run);
    return !is_same_run(publisher, publisher->redis_run) &&
           conflate_stats(publisher->table).evicted > 0;
}

/* What the broker holds, by its mark. */
static void read_mark(struct publisher *publisher)
{
    bool ours = is_ours(publisher);
    for (uint32_t i = 0; i < shards(publisher); i++)
        publisher->shard[i].low = publisher->shard[i].marked =
            ours ? publisher->mark.covered[i] : 0;
    snprintf(publisher->marked_run, sizeof publisher->marked_run, "%s",
             ours ? publisher->mark.run : "");
    if (publisher->has_mark && !ours)
        publisher->another = publisher->raise = true;
    if (ours ? !is_same_run(publisher, publisher->mark.run)
             : publisher->has_mark || publisher->retained > 0)
        publisher->compared = false;
    cover_clear(&publisher->cover);
    log_line(LOG_LEVEL_INFO, ours ? "going on from the broker's mark" : "publishing all again",
             "mark=%s",
             ours                  ? "good"
             : publisher->has_mark ? "of another store"
                                   : "absent");
}

/* What Redis may have lost of the broker's totals. Scores between the covered one and the newest
 * change do not show that: an article may have gone back below both. */
static void judge_losses(struct publisher *publisher, bool is_new)
{
    bool lost = !publisher->compared;
    for (uint32_t i = 0; i < shards(publisher); i++) {
        struct shard *shard = &publisher->shard[i];
        uint64_t from = shard->low > LOST_US ? shard->low - LOST_US : 0;
        publisher->lost_from[i] = lost && is_new && is_ours(publisher) ? from : UINT64_MAX;
        if (lost)
            shard->low = from;
    }
    if (publisher->raise)
        publisher->floor = conflate_highest(publisher->table);
    publisher->raise = false;
    if (lost)
        conflate_doubt(publisher->table);
}

static void begin_store(struct publisher *publisher)
{
    if (publisher->store[0] != '\0') {
        /* The mark that was read may be older than what another store put in its place. */
        publisher->has_mark = false;
        publisher->another = publisher->raise = publisher->new_broker = true;
        publisher->compared = false;
        conflate_reset(publisher->table, true);
    }
    publisher->floor = 0;
    snprintf(publisher->store, sizeof publisher->store, "%s", follow_store(publisher->follow));
    cover_init(&publisher->cover, follow_shards(publisher->follow));
}

static void begin(struct publisher *publisher)
{
    if (publisher->running || publisher->listing || !follow_ready(publisher->follow) ||
        !publish_ready(publisher->publish))
        return;
    if (strcmp(publisher->store, follow_store(publisher->follow)) != 0 ||
        publisher->cover.shards != follow_shards(publisher->follow))
        begin_store(publisher);
    if (must_list(publisher)) {
        publisher->retained = 0;
        publisher->listing = publish_list(publisher->publish) == 0;
        return;
    }
    if (!is_same_run(publisher, publisher->redis_run) && !publisher->new_broker)
        publisher->compared = false;
    publisher->running = true;
    publisher->run++;
    publisher->fetching = 0;
    publisher->paging = false;
    bool is_new = publisher->new_broker;
    publisher->another = publisher->another && !publisher->compared;
    if (is_new)
        read_mark(publisher);
    publisher->new_broker = false;
    judge_losses(publisher, is_new);
    snprintf(publisher->redis_run, sizeof publisher->redis_run, "%s",
             follow_run(publisher->follow));
    for (uint32_t i = 0; i < shards(publisher); i++) {
        struct shard *shard = &publisher->shard[i];
        shard->followed = shard->asking = shard->again = false;
        shard->asked_ms = 0;
        follow_shard(publisher, i);
    }
    pump(publisher);
}

static void pause_publisher(struct publisher *publisher)
{
    if (!publisher->running)
        return;
    for (uint32_t i = 0; i < shards(publisher); i++)
        if (publisher->shard[i].followed)
            publisher->shard[i].low = covered(publisher, i);
    publisher->running = false;
    conflate_reset(publisher->table, false);
    event_del(publisher->pump);
    event_del(publisher->soon);
    event_del(publisher->resync);
    check_stopped(publisher);
}

void publisher_store_ready(struct publisher *publisher)
{
    begin(publisher);
}

void publisher_store_away(struct publisher *publisher)
{
    pause_publisher(publisher);
}

void publisher_hint(struct publisher *publisher, uint32_t shard)
{
    if (publisher->running)
        poll_shard(publisher, shard);
}

void publisher_renew(struct publisher *publisher, const char *article, size_t bytes)
{
    if (!publisher->running)
        return;
    conflate_again(publisher->table, article_shard(article, bytes, shards(publisher)), article,
                   bytes);
    events_arm(publisher->pump, 1);
}

void publisher_broker_ready(struct publisher *publisher, const struct publish_mark *mark)
{
    publisher->new_broker = true;
    publisher->listing = publisher->listed = false;
    publisher->retained = 0;
    publisher->has_mark = mark != NULL;
    if (mark != NULL)
        publisher->mark = *mark;
    conflate_reset(publisher->table, true);
    begin(publisher);
}

void publisher_retained(struct publisher *publisher, const char *article, size_t bytes,
                        uint64_t version)
{
    if (!publisher->listing || publisher->cover.shards == 0)
        return;
    publisher->retained++;
    conflate_retained(publisher->table, article_shard(article, bytes, shards(publisher)), article,
                      bytes, version);
}

void publisher_listed(struct publisher *publisher)
{
    if (!publisher->listing)
        return;
    publisher->listing = false;
    publisher->listed = true;
    begin(publisher);
}

void publisher_broker_away(struct publisher *publisher)
{
    publisher->listing = false;
    pause_publisher(publisher);
}

void publisher_stop(struct publisher *publisher)
{
    publisher->stopping = true;
    conflate_hurry(publisher->table);
    if (publisher->running)
        pump(publisher);
    else
        check_stopped(publisher);
}

/* ---- making ---- */

static void init_buckets(struct publisher *publisher)
{
    double publish = (double)publisher->config.publish_rate;
    double republish = (double)publisher->config.republish_rate;
    double due_most = publish * (double)publisher->config.interval_ms / 1000;
    double republish_most = republish / 10 > 1 ? republish / 10 : 1; /* no burst after a wait */
    if (due_most < publish * 2 * RETRY_MS / 1000) /* who waits looks again each RETRY_MS */
        due_most = publish * 2 * RETRY_MS / 1000;
    token_bucket_init(&publisher->due, publish, due_most > 1 ? due_most : 1);
    token_bucket_init(&publisher->again, republish, republish_most);
    token_bucket_init(&publisher->touch, republish, republish_most);
}

struct publisher *publisher_new(struct event_base *base, const struct publisher_config *config)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL)
        return NULL;
    publisher->config = *config;
    init_buckets(publisher);
    publisher->compared = true; /* nothing was published */
    struct conflate_config conflate = {
        .shards = COVER_MAX_SHARDS,
        .interval_ms = config->interval_ms,
        .repeat_ms = config->repeat_ms,
        .max_articles = config->max_articles,
    };
    memcpy(conflate.seed, config->seed, sizeof conflate.seed);
    publisher->table = conflate_new(&conflate);
    publisher->poll = event_new(base, -1, EV_PERSIST, on_poll, publisher);
    publisher->soon = evtimer_new(base, on_soon, publisher);
    publisher->pump = evtimer_new(base, on_pump, publisher);
    publisher->resync = event_new(base, -1, EV_PERSIST, on_resync, publisher);
    publisher->marker = event_new(base, -1, EV_PERSIST, on_marker, publisher);
    if (publisher->table == NULL || publisher->poll == NULL || publisher->soon == NULL ||
        publisher->pump == NULL || publisher->resync == NULL || publisher->marker == NULL ||
        events_arm(publisher->poll, 1000) != 0 || events_arm(publisher->marker, 1000) != 0) {
        publisher_free(publisher);
        return NULL;
    }
    return publisher;
}

void publisher_connect(struct publisher *publisher, struct follow *follow, struct publish *publish)
{
    publisher->follow = follow;
    publisher->publish = publish;
}

void publisher_free(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    events_free(publisher->poll);
    events_free(publisher->soon);
    events_free(publisher->pump);
    events_free(publisher->resync);
    events_free(publisher->marker);
    conflate_free(publisher->table);
    free(publisher);
}

uint64_t publisher_lost_from(const struct publisher *publisher, uint32_t shard)
{
    return publisher->lost_from[shard];
}

bool publisher_another(const struct publisher *publisher)
{
    return publisher->another;
}

bool publisher_running(const struct publisher *publisher)
{
    return publisher->running;
}

struct publisher_stats publisher_stats(const struct publisher *publisher)
{
    struct publisher_stats stats = publisher->stats;
    stats.comparing = !publisher->compared;
    stats.conflate = conflate_stats(publisher->table);
    stats.open_shards = cover_open(&publisher->cover);
    return stats;
}
