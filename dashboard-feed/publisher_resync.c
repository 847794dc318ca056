/* Publishes again the totals that a broker may miss, a page of a range at a time. The same tokens
 * pay for comparing published totals with Redis. */
#include "publisher_resync.h"
#include "changes.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "publisher_state.h"

#include <inttypes.h>
#include <stdlib.h>

#define TICK_MS 20
#define PAGES_MAX 8 /* under way, of as many shards */

/* A page of a range. */
struct page {
    struct publisher_asked asked;
    size_t limit;     /* tokens were taken for this many totals */
    uint64_t down_to; /* its lowest score; 0 the range ends here */
};

static void next_pages(struct publisher *publisher);

/* A page of this run of the shard has ended: `n` totals of it were fetched. */
static void page_over(struct publisher *publisher, const struct page *page, size_t n)
{
    publisher->resync.paging &= ~(UINT64_C(1) << page->asked.shard);
    publisher->resync.pages--;
    token_bucket_give_back(&publisher->resync.again, page->limit - n);
}

static void page_done(struct publisher *publisher, const struct page *page)
{
    cover_done(&publisher->cover, page->asked.shard, page->down_to);
    if (cover_open(&publisher->cover) > 0) {
        next_pages(publisher);
        return;
    }
    log_line(LOG_LEVEL_INFO, "the broker holds every total", "republished=%" PRIu64,
             publisher->stats.republished);
}

/* Whether a republished total changed so recently that current viewers may see it for the first
 * time. If so, it is repeated like any change. Older ones were repeated, or will be shown on
 * demand. */
static bool is_recent(const struct publisher *publisher, const struct lookup_total *found)
{
    return found->total.version + publisher->config.repeat_ms * 1000 > clock_unix_us();
}

static void on_page_totals(void *user, const struct lookup_total *totals, size_t n)
{
    struct page *page = user;
    struct publisher *publisher = page->asked.publisher;
    if (!publisher_state_current(&page->asked))
        goto out;
    bool away = totals[0].outcome == LOOKUP_AWAY;
    page_over(publisher, page, away ? 0 : n);
    if (away)
        goto out; /* the page is asked for again */
    for (size_t i = 0; i < n; i++) {
        enum publisher_send_result result =
            publisher_send_total(publisher, &totals[i], false, false, false);
        if (result == PUBLISHER_SEND_REFUSED)
            goto out;
        publisher->stats.republished += result == PUBLISHER_SEND_SENT;
        if (result == PUBLISHER_SEND_SENT && is_recent(publisher, &totals[i]))
            conflate_repeat(publisher->table, totals[i].article, totals[i].article_bytes);
    }
    page_done(publisher, page);
    publisher_live_pump(publisher); /* what was waiting may be published by this */
out:
    free(page);
}

static void on_page(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                    long got)
{
    struct page *page = user;
    (void)number;
    struct publisher *publisher = page->asked.publisher;
    struct lookup_article articles[PUBLISHER_BATCH];
    size_t wanted = 0;
    if (!publisher_state_current(&page->asked))
        goto out;
    if (got < 0) {
        page_over(publisher, page, 0);
        goto out;
    }
    for (size_t i = 0; i < n && i < PUBLISHER_BATCH; i++) {
        const struct changes_entry *one = &changes[i];
        page->down_to = one->version;
        if (one->article_bytes > 0 &&
            !conflate_knows(publisher->table, one->article, one->article_bytes, one->version))
            articles[wanted++] =
                (struct lookup_article){.id = one->article, .bytes = one->article_bytes};
    }
    if ((size_t)got < page->limit || n == 0)
        page->down_to = 0;
    if (wanted > 0 && lookup_totals(publisher->link, articles, wanted, on_page_totals, page) == 0)
        return;
    page_over(publisher, page, 0);
    if (wanted == 0)
        page_done(publisher, page);
out:
    free(page);
}

/* The next page of a shard whose bit in `busy` is not set. False where none can be asked for. */
static bool next_page(struct publisher *publisher, uint64_t busy)
{
    uint32_t number;
    struct cover_range range;
    size_t left = token_bucket_left(&publisher->resync.again);
    if (left == 0 || publisher->resync.pages == PAGES_MAX ||
        !cover_next(&publisher->cover, busy | publisher->resync.paging, &number, &range))
        return false;
    if (publish_backed_up(publisher->publish)) {
        publisher->stats.held_back++;
        return false;
    }
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL)
        return false;
    page->asked = publisher_state_ask(publisher, number);
    page->limit = left < PUBLISHER_BATCH ? left : PUBLISHER_BATCH;
    if (changes_range(publisher->link, number, range.low, range.high, true, page->limit, on_page,
                      page) != 0) {
        free(page);
        return false;
    }
    publisher->resync.paging |= UINT64_C(1) << number;
    publisher->resync.pages++;
    token_bucket_take(&publisher->resync.again, page->limit);
    return true;
}

static void next_pages(struct publisher *publisher)
{
    uint64_t busy = publisher_state_away(publisher);
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        busy |= publisher->live.shard[i].followed ? 0 : UINT64_C(1) << i;
    while (publisher->running && !publisher->stopping && next_page(publisher, busy))
        continue;
}

/* Whether nothing is left to do for the shards that are there. */
static bool is_done(const struct publisher *publisher)
{
    for (uint32_t i = 0; i < publisher->cover.shards; i++)
        if (publisher->shard[i].running &&
            (!publisher->live.shard[i].followed || !publisher->mark.shard[i].compared ||
             publisher->cover.shard[i].n > 0))
            return false;
    return true;
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    publisher->resync.ticks_ms += TICK_MS;
    size_t left = token_bucket_refill(&publisher->resync.again, publisher->resync.ticks_ms);
    if (left >= 1 && !publish_backed_up(publisher->publish)) {
        size_t n =
            conflate_resync_more(publisher->table, publisher_state_away(publisher), (left + 1) / 2);
        token_bucket_take(&publisher->resync.again, n);
        if (n > 0)
            publisher_live_pump(publisher);
    }
    next_pages(publisher);
    publisher_mark_check_compared(publisher);
    if (is_done(publisher))
        event_del(publisher->resync.tick);
}

void publisher_resync_leave(struct publisher *publisher, uint32_t shard)
{
    uint64_t bit = UINT64_C(1) << shard;
    publisher->resync.pages -= (publisher->resync.paging & bit) != 0;
    publisher->resync.paging &= ~bit;
}

void publisher_resync_pause(struct publisher *publisher)
{
    event_del(publisher->resync.tick);
}

void publisher_resync_start(struct publisher *publisher)
{
    if (!event_pending(publisher->resync.tick, EV_TIMEOUT, NULL))
        events_arm(publisher->resync.tick, TICK_MS);
}

int publisher_resync_init(struct publisher *publisher, struct event_base *base)
{
    double rate = (double)publisher->config.republish_rate;
    double most = rate / 10 > 1 ? rate / 10 : 1; /* no burst after a wait */
    token_bucket_init(&publisher->resync.again, rate, most);
    publisher->resync.tick = event_new(base, -1, EV_PERSIST, on_tick, publisher);
    return publisher->resync.tick != NULL ? 0 : -1;
}

void publisher_resync_fini(struct publisher *publisher)
{
    events_free(publisher->resync.tick);
}
