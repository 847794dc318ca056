/* One fetched total: whether it goes out, waits, or is below what readers have seen. The last is
 * why an article is touched: it then gets a higher version in Redis. */
#include "publisher_send.h"
#include "article_write.h"

#include "daemon/clock.h"
#include "daemon/log.h"
#include "publisher_state.h"

#define TOUCHES_MAX 16     /* under way */
#define KINDS_WAIT_MS 3000 /* for the name of a new kind: the store is read each second */

void publisher_send_init(struct publisher *publisher)
{
    double rate = (double)publisher->config.republish_rate;
    token_bucket_init(&publisher->send.touch, rate, rate / 10 > 1 ? rate / 10 : 1);
}

/* Whether to wait for a kind's name. The wait is bounded: a damaged store must not hold a total
 * back. */
static bool awaits_kind(struct publisher *publisher, const struct total *total)
{
    if (total_json_kinds_known(total, store_link_kinds(publisher->link))) {
        publisher->send.unknown_since_ms = 0;
        return false;
    }
    store_link_reread(publisher->link);
    if (publisher->send.unknown_since_ms == 0)
        publisher->send.unknown_since_ms = clock_monotonic_ms();
    if (clock_monotonic_ms() - publisher->send.unknown_since_ms < KINDS_WAIT_MS)
        return true;
    log_line(LOG_LEVEL_ERROR, "a total has a kind that the store does not name", NULL);
    return false;
}

static void on_touched(void *user, uint64_t version, uint32_t later_ms)
{
    struct publisher *publisher = user;
    (void)version;
    publisher->send.touching--;
    publisher->stats.touched += later_ms == 0;
}

static bool may_touch(struct publisher *publisher)
{
    size_t left = token_bucket_refill(&publisher->send.touch, clock_monotonic_ms());
    return publisher->send.touching < TOUCHES_MAX && left >= 1;
}

/* The article's version in Redis is not above `above`, which was published or is retained:
 * touches it. The article comes again after each interval until its version is above that. */
static enum publisher_send_result touch_stale(struct publisher *publisher,
                                              const struct lookup_total *found, uint64_t above)
{
    publisher->stats.outdated++;
    if (!conflate_stale(publisher->table, found->shard, found->article, found->article_bytes,
                        clock_monotonic_ms()))
        return PUBLISHER_SEND_REFUSED;
    if (may_touch(publisher) &&
        article_write_version(publisher->link, found->article, found->article_bytes, above,
                              on_touched, publisher) == 0) {
        publisher->send.touching++;
        token_bucket_take(&publisher->send.touch, 1);
    }
    return PUBLISHER_SEND_STALE;
}

/* Whether a total was found below what the broker or readers have. An article that Redis does
 * not know counts only while it is compared: otherwise it may have been removed. */
static bool is_stale(const struct publisher *publisher, const struct lookup_total *found,
                     bool compare, uint64_t *above)
{
    uint64_t published = conflate_version(publisher->table, found->article, found->article_bytes);
    *above = published > publisher->mark.floor ? published : publisher->mark.floor;
    if (found->outcome == LOOKUP_FOUND)
        return found->total.version < published || found->total.version <= publisher->mark.floor;
    return found->outcome == LOOKUP_NONE && compare && published > 0 &&
           !conflate_is_gone(publisher->table, found->article, found->article_bytes);
}

enum publisher_send_result publisher_send_total(struct publisher *publisher,
                                                const struct lookup_total *found, bool repeat,
                                                bool compare, bool silent)
{
    enum publisher_view view = PUBLISHER_SHOW;
    uint64_t above;
    if (publisher->config.on_total != NULL && found->outcome != LOOKUP_BAD)
        view = publisher->config.on_total(publisher->config.user, found, repeat);
    if (view == PUBLISHER_LATER)
        return PUBLISHER_SEND_REFUSED;
    if (is_stale(publisher, found, compare, &above))
        return touch_stale(publisher, found, above);
    if (found->outcome != LOOKUP_FOUND)
        return PUBLISHER_SEND_SKIPPED; /* bad ones were said by lookup */
    if (silent && found->total.version ==
                      conflate_version(publisher->table, found->article, found->article_bytes))
        return PUBLISHER_SEND_SKIPPED;
    if (view == PUBLISHER_SHOW && found->total.forgotten) {
        if (publish_no_total(publisher->publish, found->article, found->article_bytes) != 0)
            return PUBLISHER_SEND_REFUSED;
        view = PUBLISHER_HIDDEN;
    }
    if (view == PUBLISHER_SHOW && awaits_kind(publisher, &found->total))
        return PUBLISHER_SEND_REFUSED;
    if (view == PUBLISHER_SHOW &&
        publish_total(publisher->publish, found->article, found->article_bytes, &found->total,
                      store_link_kinds(publisher->link)) != 0)
        return PUBLISHER_SEND_REFUSED;
    conflate_published(publisher->table, found->shard, found->article, found->article_bytes,
                       found->total.version, clock_monotonic_ms());
    if (found->total.forgotten)
        conflate_gone(publisher->table, found->article, found->article_bytes);
    return view == PUBLISHER_SHOW ? PUBLISHER_SEND_SENT : PUBLISHER_SEND_HIDDEN;
}
