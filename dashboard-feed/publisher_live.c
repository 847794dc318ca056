/* From a changed set to the broker: hints and a poll each second read what changed; conflate says
 * when each article is due; a batch of lookups at a time fetches and publishes them. */
#include "publisher_live.h"
#include "changes.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "publisher_state.h"

#include <stdlib.h>

#define POLL_MS 1000
#define POLL_LIMIT 500        /* changes a poll */
#define POLL_SPACE_MS 3       /* at least, between two polls of a shard, however many hints come */
#define POLL_GATHER_MAX_MS 40 /* between two polls of a shard that changes all the time; … */
#define POLL_GATHER_SHARE 3   /* … at most this part of publish_interval_ms */
#define FLIGHTS_MAX 2         /* lookups of a shard under way */
#define RETRY_MS 20           /* after the broker or Redis took nothing */

/* A lookup of articles of a shard that are due. */
struct lookup {
    struct publisher_asked asked;
    uint32_t batch;
    bool repeat[PUBLISHER_BATCH], compare[PUBLISHER_BATCH], silent[PUBLISHER_BATCH];
};

static struct publisher_asked *live_ask(struct publisher *publisher, uint32_t number)
{
    struct publisher_asked *asked = malloc(sizeof *asked);
    if (asked != NULL)
        *asked = publisher_state_ask(publisher, number);
    return asked;
}

/* ---- publishing due totals ---- */

static void count_sent(struct publisher *publisher, const struct lookup_total *found, bool repeat)
{
    if (repeat) {
        publisher->stats.repeated++;
        return;
    }
    publisher->stats.changed++;
    uint64_t now_us = clock_unix_us();
    if (now_us >= found->total.version) { /* otherwise the clocks differ */
        histogram_add(&publisher->stats.delay_s, (double)(now_us - found->total.version) / 1e6);
    }
}

static void on_totals(void *user, const struct lookup_total *totals, size_t n)
{
    struct lookup *lookup = user;
    struct publisher *publisher = lookup->asked.publisher;
    bool refused = totals[0].outcome == LOOKUP_AWAY;
    if (!publisher_state_current(&lookup->asked))
        goto out;
    publisher->live.fetching--;
    publisher->live.shard[lookup->asked.shard].fetching--;
    if (refused) /* no memory, or the connection is about to end */
        conflate_give_back_batch(publisher->table, lookup->batch);
    for (size_t i = 0; i < n && totals[i].outcome != LOOKUP_AWAY; i++) {
        const struct lookup_total *one = &totals[i];
        switch (publisher_send_total(publisher, one, lookup->repeat[i], lookup->compare[i],
                                     lookup->silent[i])) {
        case PUBLISHER_SEND_SENT:
            count_sent(publisher, one, lookup->repeat[i]);
            break;
        case PUBLISHER_SEND_HIDDEN:
        case PUBLISHER_SEND_STALE:
            break;
        case PUBLISHER_SEND_SKIPPED:
            conflate_drop(publisher->table, one->article, one->article_bytes);
            break;
        case PUBLISHER_SEND_REFUSED:
            conflate_give_back(publisher->table, one->article, one->article_bytes);
            refused = true;
            break;
        }
    }
    if (refused)
        events_arm(publisher->live.pump, RETRY_MS);
    else
        publisher_live_pump(publisher);
out:
    free(lookup);
}

/* How many totals may go out now. If thousands of articles change at once, one total of each per
 * publish_interval_ms would cost the broker more than the reactions, and nobody could read them. */
static size_t may_publish(struct publisher *publisher)
{
    if (publisher->stopping) /* waiting totals go out now, or after the next start */
        return PUBLISHER_BATCH;
    size_t left = token_bucket_refill(&publisher->live.due, clock_monotonic_ms());
    return left < PUBLISHER_BATCH ? left : PUBLISHER_BATCH;
}

/* A bit for each shard from which nothing more may be fetched now. */
static uint64_t busy_shards(const struct publisher *publisher)
{
    uint64_t busy = publisher_state_away(publisher);
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        busy |= publisher->live.shard[i].fetching < FLIGHTS_MAX ? 0 : UINT64_C(1) << i;
    return busy;
}

/* Asks for these articles of a shard. False where that cannot be done now. */
static bool send_lookup(struct publisher *publisher, uint32_t shard, const struct conflate_due *due,
                        size_t n)
{
    struct lookup_article articles[PUBLISHER_BATCH];
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return false;
    lookup->asked = publisher_state_ask(publisher, shard);
    for (size_t i = 0; i < n; i++) {
        articles[i] = (struct lookup_article){.id = due[i].article, .bytes = due[i].article_bytes};
        lookup->batch = due[i].batch;
        lookup->repeat[i] = due[i].repeat;
        lookup->compare[i] = due[i].compare;
        lookup->silent[i] = due[i].silent;
    }
    if (lookup_totals(publisher->link, articles, n, on_totals, lookup) == 0)
        return true;
    free(lookup);
    return false;
}

/* A probe's total is not repeated: nobody else watches it, and the repeat would fall due with the
 * next probe and delay its total. Returns how many are left. */
static size_t drop_probe_repeats(struct publisher *publisher, struct conflate_due *due, size_t n)
{
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (due[i].repeat && !due[i].compare &&
            article_is_probe(due[i].article, due[i].article_bytes))
            conflate_drop(publisher->table, due[i].article, due[i].article_bytes);
        else
            due[left++] = due[i];
    return left;
}

/* Fetches a batch of due articles of a shard that is not busy. False if there is none, or
 * nothing can be fetched now (*retry). A shard that cannot be asked becomes busy. */
static bool live_fetch(struct publisher *publisher, uint64_t *busy, bool *retry)
{
    struct conflate_due due[PUBLISHER_BATCH];
    uint64_t now_ms = clock_monotonic_ms();
    uint32_t shard;
    size_t most = may_publish(publisher);
    if (!conflate_due_shard(publisher->table, now_ms, *busy, &shard))
        return false;
    if (most == 0) {
        publisher->stats.over_rate++;
        *retry = true;
        return false;
    }
    size_t n = drop_probe_repeats(publisher, due,
                                  conflate_take(publisher->table, shard, now_ms, due, most));
    if (n == 0)
        return true;
    if (!send_lookup(publisher, shard, due, n)) {
        for (size_t i = n; i-- > 0;)
            conflate_give_back(publisher->table, due[i].article, due[i].article_bytes);
        *busy |= UINT64_C(1) << shard;
        *retry = true;
        return true;
    }
    token_bucket_take(&publisher->live.due, n);
    publisher->live.fetching++;
    if (++publisher->live.shard[shard].fetching == FLIGHTS_MAX)
        *busy |= UINT64_C(1) << shard;
    return true;
}

void publisher_live_pump(struct publisher *publisher)
{
    bool retry = false;
    if (!publisher->running)
        return;
    uint64_t busy = busy_shards(publisher);
    do {
        if (publish_backed_up(publisher->publish)) {
            publisher->stats.held_back++;
            retry = true;
            break;
        }
    } while (live_fetch(publisher, &busy, &retry));
    publisher->stats.conflate = conflate_stats(publisher->table);
    uint64_t next_ms =
        retry ? RETRY_MS : conflate_next_ms(publisher->table, clock_monotonic_ms(), busy);
    if (next_ms == UINT64_MAX)
        event_del(publisher->live.pump);
    else
        events_arm(publisher->live.pump, next_ms > 0 ? next_ms : 1);
    publisher_mark_check_stopped(publisher);
}

static void on_pump(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    publisher_live_pump(user);
}

void publisher_live_pump_soon(struct publisher *publisher)
{
    events_arm(publisher->live.pump, 1);
}

/* ---- following ---- */

static void on_changes(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                       long got)
{
    struct publisher_asked *asked = user;
    struct publisher *publisher = asked->publisher;
    bool full = false;
    if (!publisher_state_current(asked))
        goto out;
    struct publisher_live_shard *shard = &publisher->live.shard[number];
    shard->asking = false;
    for (size_t i = 0; i < n && !full; i++) {
        const struct changes_entry *one = &changes[i];
        full = one->article_bytes > 0 &&
               conflate_note(publisher->table, number, one->article, one->article_bytes,
                             one->version, clock_monotonic_ms()) == CONFLATE_FULL;
        if (!full)
            cover_heard(&publisher->cover, number, one->version);
    }
    shard->more = n > 0 && got == POLL_LIMIT;
    bool more = shard->again || shard->more;
    shard->again = false;
    gather_took(&shard->gather, n);
    if (more && got >= 0 && !full) /* if the table is full, the next second's poll continues */
        publisher_live_poll(publisher, number);
    publisher_live_pump(publisher);
out:
    free(asked);
}

/* Polls the shard after this many ms. */
static void poll_soon(struct publisher_live *live, uint64_t now, uint64_t rest_ms)
{
    if (event_pending(live->soon, EV_TIMEOUT, NULL) && live->soon_ms <= now + rest_ms)
        return;
    live->soon_ms = now + rest_ms;
    events_arm(live->soon, rest_ms);
}

/* In how many ms a poll is worth its cost: at once after a quiet moment, and if there is more than
 * the last one has returned; else what changes is gathered (gather.h). */
static uint64_t poll_rest_ms(const struct publisher_live_shard *shard, uint64_t now)
{
    uint64_t rest_ms = gather_rest_ms(&shard->gather, now);
    return shard->more && rest_ms > POLL_SPACE_MS ? POLL_SPACE_MS : rest_ms;
}

void publisher_live_poll(struct publisher *publisher, uint32_t number)
{
    struct publisher_live_shard *shard = &publisher->live.shard[number];
    uint64_t now = clock_monotonic_ms() + publisher->live.gather_phase_ms;
    if (!publisher->shard[number].running || !shard->followed || publisher->stopping)
        return;
    gather_notice(&shard->gather, now);
    uint64_t rest_ms = poll_rest_ms(shard, now);
    if (shard->asking || rest_ms > 0) {
        shard->again = true;
        if (!shard->asking)
            poll_soon(&publisher->live, now, rest_ms);
        return;
    }
    struct publisher_asked *asked = live_ask(publisher, number);
    if (asked == NULL)
        return;
    if (changes_range(publisher->link, number, publisher->cover.shard[number].live, UINT64_MAX,
                      false, POLL_LIMIT, on_changes, asked) != 0) {
        free(asked);
        return;
    }
    shard->asking = true;
    shard->again = false;
    gather_call(&shard->gather, now);
}

static void on_top(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                   long got)
{
    struct publisher_asked *asked = user;
    struct publisher *publisher = asked->publisher;
    if (!publisher_state_current(asked))
        goto out;
    publisher->live.shard[number].asking = false;
    if (got < 0) /* no memory: each second's poll asks again; or the connection is about to end */
        goto out;
    cover_follow(&publisher->cover, number, publisher->mark.shard[number].low,
                 n > 0 ? changes[0].version : 0);
    publisher->live.shard[number].followed = true;
    publisher_resync_start(publisher);
    publisher_live_poll(publisher, number);
out:
    free(asked);
}

/* Asks for its newest change. Where that cannot be sent, each second's poll does. */
static void follow_shard(struct publisher *publisher, uint32_t number)
{
    struct publisher_asked *asked = live_ask(publisher, number);
    if (asked == NULL ||
        changes_range(publisher->link, number, 0, UINT64_MAX, true, 1, on_top, asked) != 0)
        free(asked);
    else
        publisher->live.shard[number].asking = true;
}

static void on_soon(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        if (publisher->live.shard[i].again && !publisher->live.shard[i].asking)
            publisher_live_poll(publisher, i);
}

static void on_poll(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        if (publisher->shard[i].running && !publisher->live.shard[i].followed &&
            !publisher->live.shard[i].asking)
            follow_shard(publisher, i);
        else
            publisher_live_poll(publisher, i);
}

/* ---- beginning and pausing ---- */

void publisher_live_follow(struct publisher *publisher, uint32_t number)
{
    publisher->live.shard[number] = (struct publisher_live_shard){0};
    gather_init(&publisher->live.shard[number].gather, &publisher->live.gather_load, POLL_SPACE_MS,
                publisher->live.gather_max_ms);
    follow_shard(publisher, number);
}

void publisher_live_leave(struct publisher *publisher, uint32_t number)
{
    publisher->live.fetching -= publisher->live.shard[number].fetching;
    publisher->live.shard[number] = (struct publisher_live_shard){0};
}

void publisher_live_pause(struct publisher *publisher)
{
    event_del(publisher->live.pump);
    event_del(publisher->live.soon);
}

int publisher_live_init(struct publisher *publisher, struct event_base *base)
{
    struct publisher_live *live = &publisher->live;
    double rate = (double)publisher->config.publish_rate;
    double most = rate * (double)publisher->config.interval_ms / 1000;
    if (most < rate * 2 * RETRY_MS / 1000) /* those who wait look again each RETRY_MS */
        most = rate * 2 * RETRY_MS / 1000;
    token_bucket_init(&live->due, rate, most > 1 ? most : 1);
    live->gather_max_ms = (unsigned)(publisher->config.interval_ms / POLL_GATHER_SHARE);
    if (live->gather_max_ms > POLL_GATHER_MAX_MS)
        live->gather_max_ms = POLL_GATHER_MAX_MS;
    if (live->gather_max_ms < 2 * POLL_SPACE_MS)
        live->gather_max_ms = 2 * POLL_SPACE_MS;
    live->gather_phase_ms = (unsigned)(clock_monotonic_ms() % live->gather_max_ms);
    live->poll = event_new(base, -1, EV_PERSIST, on_poll, publisher);
    live->soon = evtimer_new(base, on_soon, publisher);
    live->pump = evtimer_new(base, on_pump, publisher);
    if (live->poll == NULL || live->soon == NULL || live->pump == NULL)
        return -1;
    return events_arm(live->poll, POLL_MS);
}

void publisher_live_fini(struct publisher *publisher)
{
    events_free(publisher->live.poll);
    events_free(publisher->live.soon);
    events_free(publisher->live.pump);
}
