/* Publishes again what a broker may lack, a page of a range at a time. The same tokens pay for
 * comparing what was published with Redis. */
#include "publisher_resync.h"
#include "changes.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "publisher_state.h"

#include <inttypes.h>
#include <stdlib.h>

#define TICK_MS 20

/* A page of a range. */
struct page {
    struct publisher_asked asked;
    size_t limit;
    uint32_t shard;
    uint64_t down_to; /* its lowest score; 0 the range ends here */
};

static void next_page(struct publisher *publisher);

static void page_done(struct publisher *publisher, const struct page *page)
{
    publisher->resync.paging = false;
    cover_done(&publisher->cover, page->shard, page->down_to);
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
    publisher->resync.paging = false;
    if (totals == NULL)
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
    token_bucket_take(&publisher->resync.again, n);
    page_done(publisher, page);
    publisher_live_pump(publisher); /* what was waiting may be published by this */
out:
    free(page);
}

static void on_page(void *user, uint32_t number, const struct changes_entry *changes, size_t n,
                    long got)
{
    struct page *page = user;
    struct publisher *publisher = page->asked.publisher;
    struct lookup_article articles[PUBLISHER_BATCH];
    size_t wanted = 0;
    if (!publisher_state_current(&page->asked))
        goto out;
    if (got < 0) {
        publisher->resync.paging = false;
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
    page->shard = number;
    if ((size_t)got < page->limit || n == 0)
        page->down_to = 0;
    if (wanted == 0)
        page_done(publisher, page);
    else if (lookup_totals(publisher->link, articles, wanted, on_page_totals, page) == 0)
        return;
    else
        publisher->resync.paging = false;
out:
    free(page);
}

static void next_page(struct publisher *publisher)
{
    uint32_t number;
    struct cover_range range;
    size_t left = token_bucket_left(&publisher->resync.again);
    if (!publisher->running || publisher->stopping || publisher->resync.paging || left == 0 ||
        !publisher_live_follows(publisher) || !cover_next(&publisher->cover, &number, &range))
        return;
    if (publish_backed_up(publisher->publish)) {
        publisher->stats.held_back++;
        return;
    }
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL)
        return;
    page->asked = (struct publisher_asked){publisher, publisher->run};
    page->limit = left < PUBLISHER_BATCH ? left : PUBLISHER_BATCH;
    if (changes_range(publisher->link, number, range.low, range.high, true, page->limit, on_page,
                      page) != 0)
        free(page);
    else
        publisher->resync.paging = true;
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct publisher *publisher = user;
    (void)fd;
    (void)what;
    publisher->resync.ticks_ms += TICK_MS;
    size_t left = token_bucket_refill(&publisher->resync.again, publisher->resync.ticks_ms);
    if (left >= 1 && !publish_backed_up(publisher->publish)) {
        size_t n = conflate_doubt_more(publisher->table, (left + 1) / 2);
        token_bucket_take(&publisher->resync.again, n);
        if (n > 0)
            publisher_live_pump(publisher);
    }
    next_page(publisher);
    publisher_mark_check_compared(publisher);
    if (publisher->mark.compared && publisher_live_follows(publisher) &&
        cover_open(&publisher->cover) == 0)
        event_del(publisher->resync.tick);
}

void publisher_resync_begin(struct publisher *publisher)
{
    publisher->resync.paging = false;
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
