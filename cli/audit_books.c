/* Reads positions and books until the spool looks the same before and after, so that all numbers
 * belong to one moment. */
#include "audit_books.h"

#include "daemon/clock.h"
#include "spool/spool_view.h"

#include <string.h>
#include <time.h>

#define PAUSE_MS 50
#define SETTLE_MAX_MS 20000 /* while shards go from node to node */

enum taken { TAKEN, AGAIN, FAILED };

struct positions {
    struct books *books;
    bool damaged;
};

static void add_position(void *user, uint32_t shard, const char *field, const char *value,
                         size_t value_bytes)
{
    struct positions *positions = user;
    if (!books_add_position(positions->books, shard, field, value, value_bytes))
        positions->damaged = true;
}

int audit_books_positions(struct books *books, struct store_view *store, uint32_t shard,
                          struct error *why)
{
    struct positions positions = {.books = books};
    if (store_view_hash(store, shard, "rings", add_position, &positions) != 0)
        return error_set(why, "%s", store_view_error(store));
    return positions.damaged ? error_set(why, "redis: a ring's position is of an unknown form") : 0;
}

static void add_field(void *user, uint32_t shard, const char *field, const char *value,
                      size_t value_bytes)
{
    (void)shard;
    (void)value_bytes;
    books_add_field(user, field, value);
}

/* Redis's numbers, read before the moment of the view. */
static enum taken ask_redis(struct books *books, struct store_view *store, struct error *why)
{
    for (uint32_t shard = 0; shard < store_view_shards(store); shard++) {
        if (audit_books_positions(books, store, shard, why) != 0)
            return FAILED;
        if (store_view_hash(store, shard, "books", add_field, books) != 0) {
            error_set(why, "%s", store_view_error(store));
            return FAILED;
        }
    }
    return TAKEN;
}

static enum taken take_with(struct books *books, struct spool_view *view, struct store_view *store,
                            struct error *why)
{
    error_set(why, "the spool kept changing while it was read: try again later");
    if (spool_view_shards(view) != store_view_shards(store)) {
        error_set(why, "the spool has %u shards, the store has %u", spool_view_shards(view),
                  store_view_shards(store));
        return FAILED;
    }
    books_begin(books, spool_view_edge_id(view));
    for (size_t i = 0; i < spool_view_rings(view); i++)
        books_add_ring(books, spool_view_ring(view, i));
    enum taken asked = ask_redis(books, store, why);
    if (asked != TAKEN)
        return asked;
    if (spool_view_take(view) != 0)
        return AGAIN;
    for (size_t i = 0; i < books->n; i++) {
        struct books_ring *ring = &books->ring[i];
        ring->ring = *spool_view_ring(view, i);
        if (spool_view_compare(view, i, ring->position.position, ring->position.sequence,
                               &ring->rest) != 0)
            return AGAIN;
    }
    /* A ring drained meanwhile may already be in the shard's books. */
    if (!spool_view_same(view))
        return AGAIN;
    books_close(books, spool_view_admitted(view));
    return TAKEN;
}

static enum taken audit_books_take(struct books *books, const char *spool, struct store_view *store,
                                   struct error *why)
{
    bool retry;
    struct spool_view *view = spool_view_open(spool, &retry, why);
    if (view == NULL)
        return retry ? AGAIN : FAILED;
    enum taken taken = take_with(books, view, store, why);
    spool_view_free(view);
    return taken;
}

static void count_one(void *user, const char *subject, const char *what, int64_t expected,
                      int64_t found)
{
    (void)subject;
    (void)what;
    (void)expected;
    (void)found;
    ++*(size_t *)user;
}

static void report_one(void *user, const char *subject, const char *what, int64_t expected,
                       int64_t found)
{
    report_differs(user, AUDIT_BOOKS, subject, what, expected, found);
}

void audit_books_run(struct report *report, struct store_view *store, const char *spool,
                     uint64_t limit_ms)
{
    const struct timespec nap = {.tv_nsec = PAUSE_MS * 1000000};
    const uint64_t settle_ms = limit_ms - clock_monotonic_ms();
    const uint64_t last_ms = clock_monotonic_ms() + SETTLE_MAX_MS;
    struct error why;
    for (;;) {
        size_t differences = 0;
        const uint64_t changes = store_view_changes(store);
        enum taken taken = audit_books_take(&report->books, spool, store, &why);
        if (taken == TAKEN)
            books_compare(&report->books, store_view_id(store), count_one, &differences);
        /* A shard with another node may have gone back until its collectors have
         * reapplied what it lost. */
        if (store_view_changes(store) != changes && clock_monotonic_ms() < last_ms)
            limit_ms = clock_monotonic_ms() + settle_ms;
        bool late = clock_monotonic_ms() >= limit_ms;
        if (taken == FAILED || (taken == AGAIN && late)) {
            report->books.checked = false;
            report_fails(report, "books", why.text);
            return;
        }
        if (taken == TAKEN && (differences == 0 || late))
            break;
        nanosleep(&nap, NULL);
    }
    books_compare(&report->books, store_view_id(store), report_one, report);
}
