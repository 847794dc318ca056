#include "relay.h"

#include "article_write.h"
#include "changes.h"
#include "core/article.h"
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
#define TOUCHES_MAX 16   /* under way */
#define LOST_US 10000000 /* before it was away Redis may lose: its last 2 s, and skew of clocks */
#define KINDS_WAIT_MS                                                                              \
    3000 /* for the name of a new kind; store_link reads the store each second                     \
          */

struct shard {
    bool followed; /* its newest change was asked for: live from there */
    bool asking;   /* a poll is under way */
    bool again;    /* poll once more */
    uint64_t asked_ms;
    uint64_t low;    /* begin: the broker lacks nothing up to here */
    uint64_t marked; /* as the mark says */
};

struct relay {
    struct relay_config config;
    struct store_link *link;
    struct publish *publish;
    struct conflate *table;
    struct cover cover;
    struct shard shard[COVER_MAX_SHARDS];
    bool running;
    bool stopping;
    char store[STORE_IDENTITY_ID_BYTES + 1];  /* in the last run */
    char redis_run[STORE_LINK_RUN_BYTES + 1]; /* likewise */
    bool new_broker;                          /* what it holds is what its mark says */
    bool has_mark;
    struct publish_mark mark;
    bool listing;      /* the broker tells what it retains … */
    bool listed;       /* … and did, over this connection */
    uint64_t retained; /* totals that it told of */
    bool another;      /* the broker may hold what another store had */
    bool raise;        /* … and the floor is to be put above all of it */
    bool compared;     /* all that was published is known to be in this run of Redis */
    uint64_t floor;    /* every article of this store gets a version above it */
    uint64_t lost_from[COVER_MAX_SHARDS];      /* relay_lost_from */
    char marked_run[STORE_LINK_RUN_BYTES + 1]; /* as the mark says */
    uint32_t run;                              /* answers of an earlier run are ignored */
    unsigned fetching;                         /* lookups of changed articles under way */
    unsigned touching;
    bool paging;               /* a page of a resync is under way */
    double due_tokens;         /* totals that may be published now … */
    uint64_t due_tokens_ms;    /* … as of then */
    double tokens;             /* totals that may be published again, or compared, now */
    double touch_tokens;       /* articles that may be touched now … */
    uint64_t touch_tokens_ms;  /* … as of then */
    uint64_t unknown_since_ms; /* a kind without a name was seen first; 0 none */
    struct event *poll;        /* each second: asks every shard */
    struct event *soon;        /* polls that were spaced out */
    struct event *pump;        /* the next total is due */
    struct event *resync;      /* each RESYNC_TICK_MS while something is to be published again */
    struct event *marker;      /* each second */
    struct relay_stats stats;
};

/* Of one request: to whom, and in which run it was made. */
struct asked {
    struct relay *relay;
    uint32_t run;
    size_t limit;     /* of a range */
    uint32_t shard;   /* of a page */
    uint64_t down_to; /* of a page: its lowest score; 0 the range ends here */
    uint32_t batch;   /* of a lookup of changed articles, as what follows */
    bool repeat[BATCH], compare[BATCH], silent[BATCH];
};

static struct asked *ask(struct relay *relay)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked != NULL)
        *asked = (struct asked){.relay = relay, .run = relay->run};
    return asked;
}

static bool is_current(const struct asked *asked)
{
    return asked->relay->running && asked->run == asked->relay->run;
}

static uint32_t shards(const struct relay *relay)
{
    return relay->cover.shards;
}

static bool all_followed(const struct relay *relay)
{
    for (uint32_t i = 0; i < shards(relay); i++)
        if (!relay->shard[i].followed)
            return false;
    return true;
}

static uint64_t covered(const struct relay *relay, uint32_t shard)
{
    return cover_covered(&relay->cover, shard, conflate_oldest_waiting(relay->table, shard));
}

/* ---- publishing one total ---- */

enum result { SENT, HIDDEN, SKIPPED, STALE, REFUSED };

/* Whether to wait for a kind's name. The wait is bounded: a damaged store must not hold a total
 * back. */
static bool awaits_kind(struct relay *relay, const struct total *total)
{
    if (total_json_kinds_known(total, store_link_kinds(relay->link))) {
        relay->unknown_since_ms = 0;
        return false;
    }
    store_link_reread(relay->link);
    if (relay->unknown_since_ms == 0)
        relay->unknown_since_ms = clock_monotonic_ms();
    if (clock_monotonic_ms() - relay->unknown_since_ms < KINDS_WAIT_MS)
        return true;
    log_line(LOG_LEVEL_ERROR, "a total counts a kind that the store does not name", NULL);
    return false;
}

static void on_touched(void *user, uint64_t version, uint32_t later_ms)
{
    struct relay *relay = user;
    (void)version;
    relay->touching--;
    relay->stats.touched += later_ms == 0;
}

static bool may_touch(struct relay *relay)
{
    double rate = (double)relay->config.republish_rate, most = rate / 10 > 1 ? rate / 10 : 1;
    uint64_t now = clock_monotonic_ms();
    relay->touch_tokens += rate * (double)(now - relay->touch_tokens_ms) / 1000;
    relay->touch_tokens_ms = now;
    if (relay->touch_tokens > most)
        relay->touch_tokens = most;
    return relay->touching < TOUCHES_MAX && relay->touch_tokens >= 1;
}

/* The article's version in Redis is not above `above`, which was published or is retained: it is
 * touched. It comes again after the interval, touched or not, until it has a version above that. */
static enum result touch(struct relay *relay, const struct lookup_total *found, uint64_t above)
{
    relay->stats.outdated++;
    if (!conflate_stale(relay->table, found->shard, found->article, found->article_bytes,
                        clock_monotonic_ms()))
        return REFUSED;
    if (may_touch(relay) && article_write_version(relay->link, found->article, found->article_bytes,
                                                  above, on_touched, relay) == 0) {
        relay->touching++;
        relay->touch_tokens--;
    }
    return STALE;
}

/* Whether a total was found below what the broker or readers have. One that Redis does not know is
 * so only where it is being compared: else it may have been taken away. */
static bool is_stale(const struct relay *relay, const struct lookup_total *found, bool compare,
                     uint64_t *above)
{
    uint64_t published = conflate_version(relay->table, found->article, found->article_bytes);
    *above = published > relay->floor ? published : relay->floor;
    if (found->outcome == LOOKUP_FOUND)
        return found->total.version < published || found->total.version <= relay->floor;
    return found->outcome == LOOKUP_NONE && compare && published > 0 &&
           !conflate_is_gone(relay->table, found->article, found->article_bytes);
}

static enum result send_total(struct relay *relay, const struct lookup_total *found, bool repeat,
                              bool compare, bool silent)
{
    enum relay_view view = RELAY_SHOW;
    uint64_t above;
    if (relay->config.on_total != NULL && found->outcome != LOOKUP_BAD)
        view = relay->config.on_total(relay->config.user, found, repeat);
    if (view == RELAY_LATER)
        return REFUSED;
    if (is_stale(relay, found, compare, &above))
        return touch(relay, found, above);
    if (found->outcome != LOOKUP_FOUND)
        return SKIPPED; /* bad ones were said by lookup */
    if (silent && found->total.version ==
                      conflate_version(relay->table, found->article, found->article_bytes))
        return SKIPPED;
    if (view == RELAY_SHOW && found->total.forgotten) {
        if (publish_no_total(relay->publish, found->article, found->article_bytes) != 0)
            return REFUSED;
        view = RELAY_HIDDEN;
    }
    if (view == RELAY_SHOW && awaits_kind(relay, &found->total))
        return REFUSED;
    if (view == RELAY_SHOW && publish_total(relay->publish, found->article, found->article_bytes,
                                            &found->total, store_link_kinds(relay->link)) != 0)
        return REFUSED;
    conflate_published(relay->table, found->shard, found->article, found->article_bytes,
                       found->total.version, clock_monotonic_ms());
    if (found->total.forgotten)
        conflate_gone(relay->table, found->article, found->article_bytes);
    return view == RELAY_SHOW ? SENT : HIDDEN;
}

static void count_sent(struct relay *relay, const struct lookup_total *found, bool repeat)
{
    if (repeat) {
        relay->stats.repeated++;
        return;
    }
    relay->stats.changed++;
    uint64_t now_us = clock_unix_us();
    if (now_us >= found->total.version) { /* else the clocks differ */
        relay->stats.delay_us += now_us - found->total.version;
        relay->stats.delays++;
    }
}

/* ---- stopping ---- */

static bool write_mark(struct relay *relay);

static void check_stopped(struct relay *relay)
{
    if (!relay->stopping)
        return;
    if (relay->running) {
        if (relay->fetching > 0 || relay->stats.conflate.waiting > 0)
            return;
        if (publish_marking(relay->publish) || write_mark(relay))
            return; /* on_marked comes here again */
    }
    relay->config.on_stopped(relay->config.user);
}

/* ---- changed articles, live ---- */

static void pump(struct relay *relay);

static void on_totals(void *user, const struct lookup_total *totals, size_t n)
{
    struct asked *asked = user;
    struct relay *relay = asked->relay;
    bool refused = totals == NULL;
    if (!is_current(asked))
        goto out;
    relay->fetching--;
    if (totals == NULL) /* no memory, or the connection is about to end */
        conflate_give_back_batch(relay->table, asked->batch);
    for (size_t i = 0; i < n && totals != NULL; i++) {
        const struct lookup_total *one = &totals[i];
        switch (send_total(relay, one, asked->repeat[i], asked->compare[i], asked->silent[i])) {
        case SENT:
            count_sent(relay, one, asked->repeat[i]);
            break;
        case HIDDEN:
        case STALE:
            break;
        case SKIPPED:
            conflate_drop(relay->table, one->article, one->article_bytes);
            break;
        case REFUSED:
            conflate_give_back(relay->table, one->article, one->article_bytes);
            refused = true;
            break;
        }
    }
    if (refused)
        events_arm(relay->pump, RETRY_MS);
    else
        pump(relay);
out:
    free(asked);
}

/* How many totals may go out now. If thousands of articles change at once, one total of each per
 * publish_interval_ms would cost the broker more than the reactions, and nobody could read them. */
static size_t may_publish(struct relay *relay)
{
    double rate = (double)relay->config.publish_rate;
    double most = rate * (double)relay->config.interval_ms / 1000;
    uint64_t now = clock_monotonic_ms();
    if (relay->stopping) /* what waits goes out now, or after the next start */
        return BATCH;
    if (most < rate * 2 * RETRY_MS / 1000) /* who waits looks again each RETRY_MS */
        most = rate * 2 * RETRY_MS / 1000;
    if (most < 1)
        most = 1;
    relay->due_tokens += rate * (double)(now - relay->due_tokens_ms) / 1000;
    relay->due_tokens_ms = now;
    if (relay->due_tokens > most)
        relay->due_tokens = most;
    return relay->due_tokens < BATCH ? (size_t)relay->due_tokens : BATCH;
}

/* Fetches a batch of what is due. False where there is nothing, or it cannot be fetched now
 * (*retry). */
static bool fetch(struct relay *relay, bool *retry)
{
    struct conflate_due due[BATCH];
    struct lookup_article articles[BATCH];
    size_t most = may_publish(relay);
    if (most == 0 && conflate_next_ms(relay->table, clock_monotonic_ms()) == 0) {
        relay->stats.over_rate++;
        *retry = true;
    }
    size_t n = conflate_take(relay->table, clock_monotonic_ms(), due, most);
    if (n == 0)
        return false;
    relay->due_tokens -= (double)n;
    struct asked *asked = ask(relay);
    for (size_t i = 0; i < n; i++) {
        articles[i] = (struct lookup_article){.id = due[i].article, .bytes = due[i].article_bytes};
        if (asked == NULL)
            continue;
        asked->batch = due[i].batch;
        asked->repeat[i] = due[i].repeat;
        asked->compare[i] = due[i].compare;
        asked->silent[i] = due[i].silent;
    }
    if (asked == NULL || lookup_totals(relay->link, articles, n, on_totals, asked) != 0) {
        for (size_t i = n; i-- > 0;)
            conflate_give_back(relay->table, articles[i].id, articles[i].bytes);
        relay->due_tokens += (double)n;
        free(asked);
        *retry = true;
        return false;
    }
    relay->fetching++;
    return true;
}

static void pump(struct relay *relay)
{
    bool retry = false;
    if (!relay->running)
        return;
    while (relay->fetching < BATCHES_MAX) {
        if (publish_backed_up(relay->publish)) {
            relay->stats.held_back++;
            retry = true;
            break;
        }
        if (!fetch(relay, &retry))
            break;
    }
    relay->stats.conflate = conflate_stats(relay->table);
    uint64_t next_ms = retry ? RETRY_MS
                       : relay->fetching == BATCHES_MAX
                           ? UINT64_MAX
                           : conflate_next_ms(relay->table, clock_monotonic_ms());
    if (next_ms == UINT64_MAX)
        event_del(relay->pump);
    else
        events_arm(relay->pump, next_ms > 0 ? next_ms : 1);
    check_stopped(relay);
}

static void on_pump(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    pump(user);
}

/* ---- polling ---- */

static void poll_shard(struct relay *relay, uint32_t number);
static void follow_shard(struct relay *relay, uint32_t number);

static void on_changes(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                       long got)
{
    struct asked *asked = user;
    struct relay *relay = asked->relay;
    bool full = false;
    if (!is_current(asked))
        goto out;
    struct shard *shard = &relay->shard[number];
    shard->asking = false;
    for (size_t i = 0; i < n && !full; i++) {
        const struct changes_entry *one = &changes[i];
        full = one->article_bytes > 0 &&
               conflate_note(relay->table, number, one->article, one->article_bytes, one->version,
                             clock_monotonic_ms()) == CONFLATE_FULL;
        if (!full)
            cover_heard(&relay->cover, number, one->version);
    }
    bool more = shard->again || (n > 0 && (size_t)got == asked->limit);
    shard->again = false;
    if (more && got >= 0 && !full) /* where the table is full, the next second's poll goes on */
        poll_shard(relay, number);
    pump(relay);
out:
    free(asked);
}

static void poll_shard(struct relay *relay, uint32_t number)
{
    struct shard *shard = &relay->shard[number];
    uint64_t now = clock_monotonic_ms();
    if (!relay->running || !shard->followed || relay->stopping)
        return;
    if (shard->asking || now - shard->asked_ms < POLL_SPACE_MS) {
        shard->again = true;
        if (!shard->asking && !event_pending(relay->soon, EV_TIMEOUT, NULL))
            events_arm(relay->soon, shard->asked_ms + POLL_SPACE_MS - now);
        return;
    }
    struct asked *asked = ask(relay);
    if (asked == NULL)
        return;
    asked->limit = POLL_LIMIT;
    if (changes_range(relay->link, number, relay->cover.shard[number].live, UINT64_MAX, false,
                      POLL_LIMIT, on_changes, asked) != 0) {
        free(asked);
        return;
    }
    shard->asking = true;
    shard->again = false;
    shard->asked_ms = now;
}

static void on_soon(evutil_socket_t fd, short what, void *user)
{
    struct relay *relay = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < shards(relay); i++)
        if (relay->shard[i].again && !relay->shard[i].asking)
            poll_shard(relay, i);
}

static void on_poll(evutil_socket_t fd, short what, void *user)
{
    struct relay *relay = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < shards(relay); i++)
        if (relay->running && !relay->shard[i].followed && !relay->shard[i].asking)
            follow_shard(relay, i);
        else
            poll_shard(relay, i);
}

/* ---- publishing again ---- */

static void next_page(struct relay *relay);

static void page_done(struct relay *relay, const struct asked *asked)
{
    relay->paging = false;
    cover_done(&relay->cover, asked->shard, asked->down_to);
    if (cover_open(&relay->cover) > 0) {
        next_page(relay);
        return;
    }
    log_line(LOG_LEVEL_INFO, "the broker lacks nothing", "republished=%" PRIu64,
             relay->stats.republished);
}

/* Whether a republished total changed so recently that current viewers may see it for the first
 * time. If so, it is repeated like any change. Older ones were repeated, or will be shown on
 * demand. */
static bool is_recent(const struct relay *relay, const struct lookup_total *found)
{
    return found->total.version + relay->config.repeat_ms * 1000 > clock_unix_us();
}

static void on_page_totals(void *user, const struct lookup_total *totals, size_t n)
{
    struct asked *asked = user;
    struct relay *relay = asked->relay;
    if (!is_current(asked))
        goto out;
    relay->paging = false;
    if (totals == NULL)
        goto out; /* the page is asked for again */
    for (size_t i = 0; i < n; i++) {
        enum result result = send_total(relay, &totals[i], false, false, false);
        if (result == REFUSED)
            goto out;
        relay->stats.republished += result == SENT;
        if (result == SENT && is_recent(relay, &totals[i]))
            conflate_repeat(relay->table, totals[i].article, totals[i].article_bytes);
    }
    relay->tokens -= (double)n;
    page_done(relay, asked);
    pump(relay); /* what was waiting may be published by this */
out:
    free(asked);
}

static void on_page(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                    long got)
{
    struct asked *asked = user;
    struct relay *relay = asked->relay;
    struct lookup_article articles[BATCH];
    size_t wanted = 0;
    if (!is_current(asked))
        goto out;
    if (got < 0) {
        relay->paging = false;
        goto out;
    }
    for (size_t i = 0; i < n && i < BATCH; i++) {
        const struct changes_entry *one = &changes[i];
        asked->down_to = one->version;
        if (one->article_bytes > 0 &&
            !conflate_knows(relay->table, one->article, one->article_bytes, one->version))
            articles[wanted++] =
                (struct lookup_article){.id = one->article, .bytes = one->article_bytes};
    }
    asked->shard = number;
    if ((size_t)got < asked->limit || n == 0)
        asked->down_to = 0;
    if (wanted == 0)
        page_done(relay, asked);
    else if (lookup_totals(relay->link, articles, wanted, on_page_totals, asked) == 0)
        return;
    else
        relay->paging = false;
out:
    free(asked);
}

static void next_page(struct relay *relay)
{
    uint32_t number;
    struct cover_range range;
    if (!relay->running || relay->stopping || relay->paging || relay->tokens < 1 ||
        !all_followed(relay) || !cover_next(&relay->cover, &number, &range))
        return;
    if (publish_backed_up(relay->publish)) {
        relay->stats.held_back++;
        return;
    }
    struct asked *asked = ask(relay);
    if (asked == NULL)
        return;
    asked->limit = relay->tokens > BATCH ? BATCH : (size_t)relay->tokens;
    if (changes_range(relay->link, number, range.low, range.high, true, asked->limit, on_page,
                      asked) != 0)
        free(asked);
    else
        relay->paging = true;
}

/* Whether all that was published is known to be in Redis, as it is now. */
static void check_compared(struct relay *relay)
{
    if (!relay->running || relay->compared)
        return;
    bool open = !all_followed(relay) || cover_open(&relay->cover) > 0;
    if (conflate_doubts(relay->table) || (relay->another && open))
        return;
    relay->compared = true;
    log_line(LOG_LEVEL_INFO, "all that was published is in Redis", "touched=%" PRIu64,
             relay->stats.touched);
}

static void on_resync(evutil_socket_t fd, short what, void *user)
{
    struct relay *relay = user;
    double rate = (double)relay->config.republish_rate;
    double most = rate / 10 > 1 ? rate / 10 : 1; /* no burst after a wait */
    (void)fd;
    (void)what;
    relay->tokens += rate * RESYNC_TICK_MS / 1000;
    if (relay->tokens > most)
        relay->tokens = most;
    if (relay->tokens >= 1 && !publish_backed_up(relay->publish)) {
        size_t n = conflate_doubt_more(relay->table, (size_t)(relay->tokens + 1) / 2);
        relay->tokens -= (double)n;
        if (n > 0)
            pump(relay);
    }
    next_page(relay);
    check_compared(relay);
    if (relay->compared && all_followed(relay) && cover_open(&relay->cover) == 0)
        event_del(relay->resync);
}

/* ---- the mark ---- */

/* Writes the mark if it has changed. Returns whether one is in flight. While versions of another
 * store must still be passed, the broker keeps that store's mark, so a feed that starts in the
 * meantime begins again. */
static bool write_mark(struct relay *relay)
{
    uint64_t now_covered[COVER_MAX_SHARDS];
    if (!relay->running || !all_followed(relay) || (relay->another && !relay->compared))
        return false;
    const char *run = relay->compared ? relay->redis_run : relay->marked_run;
    bool changed = strcmp(run, relay->marked_run) != 0;
    for (uint32_t i = 0; i < shards(relay); i++) {
        now_covered[i] = covered(relay, i);
        changed = changed || now_covered[i] != relay->shard[i].marked;
    }
    if (!changed || publish_mark(relay->publish, store_link_id(relay->link), run, shards(relay),
                                 now_covered) != 0)
        return false;
    for (uint32_t i = 0; i < shards(relay); i++)
        relay->shard[i].marked = now_covered[i];
    if (run != relay->marked_run)
        memcpy(relay->marked_run, run, sizeof relay->marked_run);
    return true;
}

static void on_marker(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    write_mark(user);
}

void relay_marked(struct relay *relay)
{
    check_stopped(relay);
}

/* ---- beginning and pausing ---- */

static void on_top(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                   long got)
{
    struct asked *asked = user;
    struct relay *relay = asked->relay;
    struct shard *shard = &relay->shard[number];
    if (!is_current(asked))
        goto out;
    shard->asking = false;
    if (got < 0) /* no memory: each second's poll asks again; or the connection is about to end */
        goto out;
    cover_follow(&relay->cover, number, shard->low, n > 0 ? changes[0].version : 0);
    shard->followed = true;
    if (!event_pending(relay->resync, EV_TIMEOUT, NULL))
        events_arm(relay->resync, RESYNC_TICK_MS);
    poll_shard(relay, number);
out:
    free(asked);
}

/* Asks for its newest change. Where that cannot be sent, each second's poll does. */
static void follow_shard(struct relay *relay, uint32_t number)
{
    struct asked *asked = ask(relay);
    if (asked == NULL ||
        changes_range(relay->link, number, 0, UINT64_MAX, true, 1, on_top, asked) != 0)
        free(asked);
    else
        relay->shard[number].asking = true;
}

/* The broker's mark is of this store. */
static bool is_ours(const struct relay *relay)
{
    return relay->has_mark && relay->mark.shards == store_link_shards(relay->link) &&
           strcmp(relay->mark.store, store_link_id(relay->link)) == 0;
}

/* Redis is known to have lost nothing since `run`. */
static bool is_same_run(const struct relay *relay, const char *run)
{
    return run[0] != '\0' && strcmp(run, store_link_run(relay->link)) == 0;
}

/* Whether the broker must first list what it retains, because nothing else does. */
static bool must_list(const struct relay *relay)
{
    if (relay->listed)
        return false;
    if (relay->new_broker)
        return !is_ours(relay) || !is_same_run(relay, relay->mark.run);
    return !is_same_run(relay, relay->redis_run) && conflate_stats(relay->table).evicted > 0;
}

/* What the broker holds, by its mark. */
static void read_mark(struct relay *relay)
{
    bool ours = is_ours(relay);
    for (uint32_t i = 0; i < shards(relay); i++)
        relay->shard[i].low = relay->shard[i].marked = ours ? relay->mark.covered[i] : 0;
    snprintf(relay->marked_run, sizeof relay->marked_run, "%s", ours ? relay->mark.run : "");
    if (relay->has_mark && !ours)
        relay->another = relay->raise = true;
    if (ours ? !is_same_run(relay, relay->mark.run) : relay->has_mark || relay->retained > 0)
        relay->compared = false;
    cover_clear(&relay->cover);
    log_line(LOG_LEVEL_INFO, ours ? "going on from the broker's mark" : "publishing all again",
             "mark=%s",
             ours              ? "good"
             : relay->has_mark ? "of another store"
                               : "absent");
}

/* What Redis may have lost of the broker's totals. Scores between the covered one and the newest
 * change do not show that: an article may have gone back below both. */
static void judge_losses(struct relay *relay, bool is_new)
{
    bool lost = !relay->compared;
    for (uint32_t i = 0; i < shards(relay); i++) {
        struct shard *shard = &relay->shard[i];
        uint64_t from = shard->low > LOST_US ? shard->low - LOST_US : 0;
        relay->lost_from[i] = lost && is_new && is_ours(relay) ? from : UINT64_MAX;
        if (lost)
            shard->low = from;
    }
    if (relay->raise)
        relay->floor = conflate_highest(relay->table);
    relay->raise = false;
    if (lost)
        conflate_doubt(relay->table);
}

static void begin_store(struct relay *relay)
{
    if (relay->store[0] != '\0') {
        /* The mark that was read may be older than what another store put in its place. */
        relay->has_mark = false;
        relay->another = relay->raise = relay->new_broker = true;
        relay->compared = false;
        conflate_reset(relay->table, true);
    }
    relay->floor = 0;
    snprintf(relay->store, sizeof relay->store, "%s", store_link_id(relay->link));
    cover_init(&relay->cover, store_link_shards(relay->link));
}

static void begin(struct relay *relay)
{
    if (relay->running || relay->listing || !store_link_ready(relay->link) ||
        !publish_ready(relay->publish))
        return;
    if (strcmp(relay->store, store_link_id(relay->link)) != 0 ||
        relay->cover.shards != store_link_shards(relay->link))
        begin_store(relay);
    if (must_list(relay)) {
        relay->retained = 0;
        relay->listing = publish_list(relay->publish) == 0;
        return;
    }
    if (!is_same_run(relay, relay->redis_run) && !relay->new_broker)
        relay->compared = false;
    relay->running = true;
    relay->run++;
    relay->fetching = 0;
    relay->paging = false;
    bool is_new = relay->new_broker;
    relay->another = relay->another && !relay->compared;
    if (is_new)
        read_mark(relay);
    relay->new_broker = false;
    judge_losses(relay, is_new);
    snprintf(relay->redis_run, sizeof relay->redis_run, "%s", store_link_run(relay->link));
    for (uint32_t i = 0; i < shards(relay); i++) {
        struct shard *shard = &relay->shard[i];
        shard->followed = shard->asking = shard->again = false;
        shard->asked_ms = 0;
        follow_shard(relay, i);
    }
    pump(relay);
}

static void pause_relay(struct relay *relay)
{
    if (!relay->running)
        return;
    for (uint32_t i = 0; i < shards(relay); i++)
        if (relay->shard[i].followed)
            relay->shard[i].low = covered(relay, i);
    relay->running = false;
    conflate_reset(relay->table, false);
    event_del(relay->pump);
    event_del(relay->soon);
    event_del(relay->resync);
    check_stopped(relay);
}

void relay_store_ready(struct relay *relay)
{
    begin(relay);
}

void relay_store_away(struct relay *relay)
{
    pause_relay(relay);
}

void relay_hint(struct relay *relay, uint32_t shard)
{
    if (relay->running)
        poll_shard(relay, shard);
}

void relay_renew(struct relay *relay, const char *article, size_t bytes)
{
    if (!relay->running)
        return;
    conflate_again(relay->table, article_shard(article, bytes, shards(relay)), article, bytes);
    events_arm(relay->pump, 1);
}

void relay_broker_ready(struct relay *relay, const struct publish_mark *mark)
{
    relay->new_broker = true;
    relay->listing = relay->listed = false;
    relay->retained = 0;
    relay->has_mark = mark != NULL;
    if (mark != NULL)
        relay->mark = *mark;
    conflate_reset(relay->table, true);
    begin(relay);
}

void relay_retained(struct relay *relay, const char *article, size_t bytes, uint64_t version)
{
    if (!relay->listing || relay->cover.shards == 0)
        return;
    relay->retained++;
    conflate_retained(relay->table, article_shard(article, bytes, shards(relay)), article, bytes,
                      version);
}

void relay_listed(struct relay *relay)
{
    if (!relay->listing)
        return;
    relay->listing = false;
    relay->listed = true;
    begin(relay);
}

void relay_broker_away(struct relay *relay)
{
    relay->listing = false;
    pause_relay(relay);
}

void relay_stop(struct relay *relay)
{
    relay->stopping = true;
    conflate_hurry(relay->table);
    if (relay->running)
        pump(relay);
    else
        check_stopped(relay);
}

/* ---- making ---- */

struct relay *relay_new(struct event_base *base, const struct relay_config *config)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL)
        return NULL;
    relay->config = *config;
    relay->compared = true; /* nothing was published */
    struct conflate_config conflate = {
        .shards = COVER_MAX_SHARDS,
        .interval_ms = config->interval_ms,
        .repeat_ms = config->repeat_ms,
        .max_articles = config->max_articles,
    };
    memcpy(conflate.seed, config->seed, sizeof conflate.seed);
    relay->table = conflate_new(&conflate);
    relay->poll = event_new(base, -1, EV_PERSIST, on_poll, relay);
    relay->soon = evtimer_new(base, on_soon, relay);
    relay->pump = evtimer_new(base, on_pump, relay);
    relay->resync = event_new(base, -1, EV_PERSIST, on_resync, relay);
    relay->marker = event_new(base, -1, EV_PERSIST, on_marker, relay);
    if (relay->table == NULL || relay->poll == NULL || relay->soon == NULL || relay->pump == NULL ||
        relay->resync == NULL || relay->marker == NULL || events_arm(relay->poll, 1000) != 0 ||
        events_arm(relay->marker, 1000) != 0) {
        relay_free(relay);
        return NULL;
    }
    return relay;
}

void relay_connect(struct relay *relay, struct store_link *link, struct publish *publish)
{
    relay->link = link;
    relay->publish = publish;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL)
        return;
    events_free(relay->poll);
    events_free(relay->soon);
    events_free(relay->pump);
    events_free(relay->resync);
    events_free(relay->marker);
    conflate_free(relay->table);
    free(relay);
}

uint64_t relay_lost_from(const struct relay *relay, uint32_t shard)
{
    return relay->lost_from[shard];
}

bool relay_another(const struct relay *relay)
{
    return relay->another;
}

bool relay_running(const struct relay *relay)
{
    return relay->running;
}

struct relay_stats relay_stats(const struct relay *relay)
{
    struct relay_stats stats = relay->stats;
    stats.comparing = !relay->compared;
    stats.conflate = conflate_stats(relay->table);
    stats.open_shards = cover_open(&relay->cover);
    return stats;
}
