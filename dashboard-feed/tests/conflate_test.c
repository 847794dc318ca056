#include "conflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define INTERVAL_MS 250
#define REPEAT_MS 5000

static struct conflate *make(size_t max_articles)
{
    struct conflate_config config = {.shards = 4,
                                     .interval_ms = INTERVAL_MS,
                                     .repeat_ms = REPEAT_MS,
                                     .max_articles = max_articles};
    struct conflate *table = conflate_new(&config);
    assert_non_null(table);
    return table;
}

static enum conflate_answer note(struct conflate *table, const char *article, uint64_t version,
                                 uint64_t now_ms)
{
    return conflate_note(table, 1, article, strlen(article), version, now_ms);
}

static void publish(struct conflate *table, const char *article, uint64_t version, uint64_t now_ms)
{
    conflate_published(table, 1, article, strlen(article), version, now_ms);
}

/* Takes one article, or expects none where `article` is NULL. */
static void expect(struct conflate *table, const char *article, bool repeat, uint64_t now_ms)
{
    struct conflate_due due[4];
    size_t n = conflate_take(table, 1, now_ms, due, 4);
    if (article == NULL) {
        assert_int_equal(n, 0);
        return;
    }
    assert_int_equal(n, 1);
    assert_int_equal(due[0].article_bytes, strlen(article));
    assert_memory_equal(due[0].article, article, strlen(article));
    assert_int_equal(due[0].shard, 1);
    assert_int_equal(due[0].repeat, repeat);
}

static void first_change_goes_at_once(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    assert_int_equal(conflate_next_ms(table, 1000, 0), UINT64_MAX);
    assert_int_equal(note(table, "a", 7, 1000), CONFLATE_NOTED);
    assert_int_equal(conflate_next_ms(table, 1000, 0), 0);
    expect(table, "a", false, 1000);
    expect(table, NULL, false, 1000); /* taken once */
    publish(table, "a", 7, 1001);
    expect(table, NULL, false, 1001);
    conflate_free(table);
}

static void then_once_an_interval(void **state)
{
    struct conflate *table = make(10);
    unsigned published = 0;
    (void)state;
    /* A change every 10 ms for 10 s. */
    for (uint64_t now_ms = 0; now_ms < 10000; now_ms += 10) {
        struct conflate_due due[1];
        note(table, "a", 100 + now_ms, now_ms);
        if (conflate_take(table, 1, now_ms, due, 1) == 1) {
            assert_false(due[0].repeat);
            publish(table, "a", 100 + now_ms, now_ms);
            published++;
        }
    }
    assert_int_equal(published, 10000 / INTERVAL_MS);
    conflate_free(table);
}

static void change_within_the_interval_waits(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    note(table, "a", 2, 10);
    note(table, "a", 3, 20);
    expect(table, NULL, false, 20);
    assert_int_equal(conflate_next_ms(table, 20, 0), INTERVAL_MS - 20);
    assert_int_equal(conflate_oldest_waiting(table, 1), 2); /* Redis may lose 3 and keep 2 */
    expect(table, NULL, false, INTERVAL_MS - 1);
    expect(table, "a", false, INTERVAL_MS);
    publish(table, "a", 3, INTERVAL_MS);
    assert_int_equal(conflate_oldest_waiting(table, 1), 0);
    conflate_free(table);
}

static void change_while_fetched_is_not_lost(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    note(table, "a", 2, 1); /* after what is being fetched was read */
    publish(table, "a", 1, 2);
    assert_int_equal(conflate_oldest_waiting(table, 1), 1); /* 2 waits: 1 is less than is covered */
    expect(table, "a", false, 2 + INTERVAL_MS);
    note(table, "a", 3, 300);
    conflate_drop(table, "a", 1); /* what was fetched was older than published: but 3 came since */
    expect(table, "a", false, 300);
    conflate_drop(table, "a", 1);
    expect(table, NULL, false, 400);
    assert_int_equal(conflate_oldest_waiting(table, 1), 0);
    conflate_free(table);
}

static void repeats_once(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    expect(table, NULL, false, INTERVAL_MS);
    assert_int_equal(conflate_next_ms(table, INTERVAL_MS, 0), REPEAT_MS - INTERVAL_MS);
    expect(table, NULL, false, REPEAT_MS - 1);
    expect(table, "a", true, REPEAT_MS);
    publish(table, "a", 1, REPEAT_MS);
    expect(table, NULL, false, REPEAT_MS * 10);
    assert_int_equal(conflate_next_ms(table, REPEAT_MS * 10, 0), UINT64_MAX);
    conflate_free(table);
}

/* What was fetched to be repeated may be newer than what was heard of. */
static void repeats_what_a_repeat_found(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    expect(table, "a", true, REPEAT_MS);
    publish(table, "a", 2, REPEAT_MS);
    assert_int_equal(note(table, "a", 2, REPEAT_MS), CONFLATE_KNOWN);
    expect(table, NULL, false, 2 * REPEAT_MS - 1);
    expect(table, "a", true, 2 * REPEAT_MS);
    publish(table, "a", 2, 2 * REPEAT_MS);
    expect(table, NULL, false, REPEAT_MS * 10);
    conflate_free(table);
}

static void repeats_on_demand(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish(table, "a", 1, 0);
    publish(table, "b", 1, 0);
    conflate_repeat(table, "b", 1);
    conflate_repeat(table, "unknown", 7);
    expect(table, "b", true, REPEAT_MS);
    publish(table, "b", 1, REPEAT_MS);
    expect(table, NULL, false, REPEAT_MS * 10);
    conflate_free(table);
}

/* What is shown of it changed: as soon as the interval allows, and whether it was known or not. */
static void again_on_demand(void **state)
{
    struct conflate *table = make(2);
    (void)state;
    conflate_again(table, 1, "a", 1); /* unknown */
    expect(table, "a", true, 0);
    conflate_again(table, 1, "a", 1); /* on its way */
    publish(table, "a", 7, 0);
    expect(table, NULL, false, REPEAT_MS - 1);
    conflate_again(table, 1, "a", 1);
    expect(table, "a", true, REPEAT_MS);
    publish(table, "a", 7, REPEAT_MS);
    conflate_again(table, 1, "a", 1); /* just published */
    assert_int_equal(conflate_next_ms(table, REPEAT_MS, 0), INTERVAL_MS);
    expect(table, "a", true, REPEAT_MS + INTERVAL_MS);
    publish(table, "a", 7, REPEAT_MS + INTERVAL_MS);
    expect(table, NULL, false, 100 * REPEAT_MS); /* once */
    conflate_again(table, 1, "a", 1);
    note(table, "a", 8, 100 * REPEAT_MS); /* it changed, too */
    expect(table, "a", false, 100 * REPEAT_MS);
    assert_int_equal(conflate_oldest_waiting(table, 1), 8);
    conflate_free(table);
}

static void change_puts_the_repeat_off(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    note(table, "a", 2, 4000);
    expect(table, "a", false, 4000);
    publish(table, "a", 2, 4000);
    expect(table, NULL, false, 5000);
    expect(table, NULL, false, 8999);
    expect(table, "a", true, 9000);
    /* A change while the repeat is being fetched: that is what is published then. */
    note(table, "a", 3, 9001);
    publish(table, "a", 3, 9002);
    assert_int_equal(conflate_oldest_waiting(table, 1), 0);
    expect(table, "a", true, 9002 + REPEAT_MS);
    conflate_free(table);
}

static void known_versions_are_not_due(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish(table, "a", 5, 0); /* when all was published again */
    assert_int_equal(note(table, "a", 5, 1), CONFLATE_KNOWN);
    assert_int_equal(note(table, "a", 4, 1), CONFLATE_KNOWN);
    assert_true(conflate_knows(table, "a", 1, 5));
    assert_false(conflate_knows(table, "a", 1, 6));
    assert_false(conflate_knows(table, "b", 1, 1));
    expect(table, NULL, false, 10000); /* and no repeat */
    assert_int_equal(note(table, "a", 6, 10000), CONFLATE_NOTED);
    conflate_free(table);
}

static void lower_versions_are_not_allowed(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    assert_true(1 >= conflate_version(table, "a", 1));
    publish(table, "a", 5, 0);
    assert_true(4 < conflate_version(table, "a", 1));
    assert_true(5 >= conflate_version(table, "a", 1));
    conflate_reset(table); /* to another broker neither */
    assert_true(4 < conflate_version(table, "a", 1));
    publish(table, "a", 3, 1);
    assert_true(4 < conflate_version(table, "a", 1));
    conflate_free(table);
}

static void reset_forgets_what_waits(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish(table, "published", 9, 0);
    note(table, "ready", 1, 0);
    expect(table, "ready", false, 0); /* is taken */
    note(table, "waiting", 2, 0);
    conflate_reset_shard(table, 1);
    expect(table, NULL, false, 100);
    assert_int_equal(conflate_oldest_waiting(table, 1), 0);
    assert_int_equal(conflate_stats(table).waiting, 0);
    assert_true(conflate_knows(table, "published", 9, 9));
    conflate_give_back(table, "ready", 5); /* the answer comes late: nothing happens */
    conflate_drop(table, "ready", 5);
    expect(table, NULL, false, 100);
    conflate_reset(table);
    assert_false(conflate_knows(table, "published", 9, 9));
    assert_int_equal(note(table, "published", 9, 101), CONFLATE_NOTED);
    expect(table, "published", false, 101);
    conflate_free(table);
}

static void gives_back(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 1, 0);
    note(table, "b", 2, 0);
    struct conflate_due due[2];
    assert_int_equal(conflate_take(table, 1, 0, due, 1), 1);
    conflate_give_back(table, "a", 1);
    assert_int_equal(conflate_next_ms(table, 0, 0), 0);
    assert_int_equal(conflate_take(table, 1, 0, due, 2), 2); /* before b */
    assert_memory_equal(due[0].article, "a", 1);
    assert_memory_equal(due[1].article, "b", 1);
    assert_int_equal(conflate_stats(table).waiting, 2);
    conflate_free(table);
}

static void redis_that_went_back_ends_the_waiting(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note(table, "a", 9, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 7, 0); /* the head is older than the note was */
    assert_int_equal(conflate_oldest_waiting(table, 1), 0);
    expect(table, "a", true, REPEAT_MS);
    conflate_free(table);
}

static void hurry_ends_the_interval(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish(table, "quiet", 1, 0);
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    note(table, "a", 2, 1);
    expect(table, NULL, false, 1);
    conflate_hurry(table);
    expect(table, "a", false, 1);
    conflate_free(table);
}

static void bound_forgets_the_quietest(void **state)
{
    struct conflate *table = make(2);
    (void)state;
    publish(table, "old", 1, 0);
    publish(table, "new", 2, 100);
    expect(table, NULL, false, 1000); /* both are quiet now */
    assert_int_equal(note(table, "third", 3, 1000), CONFLATE_NOTED);
    assert_int_equal(conflate_stats(table).articles, 2);
    assert_int_equal(conflate_stats(table).evicted, 1);
    assert_false(conflate_knows(table, "old", 3, 1));
    assert_true(conflate_knows(table, "new", 3, 2));
    conflate_free(table);
}

static void bound_refuses_when_all_wait(void **state)
{
    struct conflate *table = make(2);
    (void)state;
    note(table, "a", 1, 0);
    note(table, "b", 2, 0);
    assert_int_equal(note(table, "c", 3, 0), CONFLATE_FULL);
    assert_int_equal(note(table, "a", 4, 0), CONFLATE_NOTED); /* those in the table continue */
    assert_int_equal(conflate_stats(table).refused, 1);
    publish(table, "c", 3, 0); /* goes out, is not remembered */
    assert_false(conflate_knows(table, "c", 1, 3));
    struct conflate_due due[3];
    assert_int_equal(conflate_take(table, 1, 0, due, 3), 2);
    conflate_free(table);
}

static void bound_takes_repeats_before_refusing(void **state)
{
    struct conflate *table = make(1);
    (void)state;
    note(table, "a", 1, 0);
    expect(table, "a", false, 0);
    publish(table, "a", 1, 0);
    assert_int_equal(note(table, "b", 2, 10), CONFLATE_FULL); /* a was published just now */
    expect(table, NULL, false, INTERVAL_MS);
    assert_int_equal(note(table, "b", 2, INTERVAL_MS), CONFLATE_NOTED);
    assert_int_equal(conflate_stats(table).repeats_lost, 1);
    conflate_free(table);
}

/* Many articles, changes, slow and failing fetches, against a plain model: intervals are kept,
 * versions rise, and in the end the last version of each is out. */
static void holds_under_random_use(void **state)
{
    enum { ARTICLES = 200, STEPS = 60000 };
    static uint64_t newest[ARTICLES], out[ARTICLES], out_ms[ARTICLES], fetched[ARTICLES];
    static bool taken[ARTICLES];
    struct conflate *table = make(ARTICLES);
    uint64_t version = 1, now_ms = 1;
    unsigned sent = 0, random = 12345;
    (void)state;
    for (int step = 0; step < STEPS || conflate_stats(table).waiting > 0; step++) {
        char name[16];
        random = random * 1103515245u + 12345u;
        int i = (int)(random >> 8) % ARTICLES;
        snprintf(name, sizeof name, "article-%d", i);
        unsigned what = step < STEPS ? (random >> 20) % 4 : 1 + (random >> 20) % 3;
        now_ms += (random >> 24) % 3;
        if (what == 0) {
            newest[i] = ++version;
            assert_int_equal(note(table, name, version, now_ms), CONFLATE_NOTED);
        } else if (what == 1) {
            struct conflate_due due[3];
            size_t n = conflate_take(table, 1, now_ms, due, 3);
            for (size_t k = 0; k < n; k++) {
                int which = atoi(due[k].article + 8);
                assert_false(taken[which]);
                taken[which] = true;
                fetched[which] = newest[which];
                assert_true(out[which] == 0 || now_ms - out_ms[which] >= INTERVAL_MS);
                assert_true(due[k].repeat == (out[which] == newest[which]));
            }
        } else {
            for (int k = 0; k < ARTICLES; k++) {
                snprintf(name, sizeof name, "article-%d", k);
                if (!taken[k] || (k + step) % 3 != 0)
                    continue;
                taken[k] = false;
                if ((k + step) % 2 == 0) {
                    conflate_give_back(table, name, strlen(name));
                    continue;
                }
                assert_true(fetched[k] >= conflate_version(table, name, strlen(name)));
                publish(table, name, fetched[k], now_ms);
                assert_true(fetched[k] >= out[k]);
                out[k] = fetched[k];
                out_ms[k] = now_ms;
                sent++;
            }
        }
    }
    for (int i = 0; i < ARTICLES; i++)
        assert_int_equal(out[i], newest[i]);
    assert_true(sent > ARTICLES);
    conflate_free(table);
}

/* Takes all that is due, in order: "a b!" if b must be compared, "b?" if only that. */
static const char *take_all(struct conflate *table, uint64_t now_ms)
{
    static char text[128];
    struct conflate_due due[8];
    size_t n = conflate_take(table, 1, now_ms, due, 8), at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s%s", i > 0 ? " " : "",
                               (int)due[i].article_bytes, due[i].article,
                               due[i].silent    ? "?"
                               : due[i].compare ? "!"
                                                : "");
    return text;
}

/* Redis may have lost what was published: all of it is compared, the newest first. */
static void what_was_published_as_forgotten_may_be_missing(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    assert_false(conflate_is_gone(table, "a", 1));
    publish(table, "a", 7, 1000);
    assert_false(conflate_is_gone(table, "a", 1));
    conflate_gone(table, "a", 1);
    assert_true(conflate_is_gone(table, "a", 1));
    assert_int_equal(conflate_version(table, "a", 1), 7); /* nothing lower goes out */
    publish(table, "a", 8, 2000);
    assert_false(conflate_is_gone(table, "a", 1));
    conflate_free(table);
}

static void resync_has_all_compared_once(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish(table, "old", 1, 0);
    publish(table, "mid", 2, 0);
    assert_string_equal(take_all(table, INTERVAL_MS), "");
    note(table, "new", 3, 1000);
    assert_string_equal(take_all(table, 1000), "new");
    publish(table, "new", 3, 1000); /* and waits for its repeat */
    conflate_retained(table, 1, "kept", 4, 7);
    conflate_reset_shard(table, 1);
    conflate_resync(table, 1);
    assert_true(conflate_resyncing(table, 1));
    assert_int_equal(conflate_resync_more(table, 0, 2), 2);
    assert_string_equal(take_all(table, 1001), "new! kept?");
    note(table, "mid", 4, 1001); /* changes meanwhile: that looks at it, too */
    assert_int_equal(conflate_resync_more(table, 0, 10), 1);
    assert_string_equal(take_all(table, 1001), "mid old?");
    conflate_drop(table, "kept", 4);
    publish(table, "new", 3, 1001);
    publish(table, "mid", 4, 1001);
    assert_true(conflate_resyncing(table, 1));
    conflate_drop(table, "old", 3);
    assert_false(conflate_resyncing(table, 1));
    assert_int_equal(conflate_resync_more(table, 0, 10), 0);
    assert_int_equal(conflate_highest(table), 7);
    conflate_free(table);
}

static void what_is_stale_comes_until_it_is_not(void **state)
{
    struct conflate *table = make(2);
    (void)state;
    publish(table, "a", 9, 0);
    conflate_reset_shard(table, 1);
    conflate_resync(table, 1);
    conflate_resync_more(table, 0, 1);
    assert_string_equal(take_all(table, 100), "a?");
    assert_true(conflate_stale(table, 1, "a", 1, 100)); /* Redis has 8 */
    assert_int_equal(conflate_stats(table).stale, 1);
    assert_string_equal(take_all(table, 99 + INTERVAL_MS), "");
    assert_string_equal(take_all(table, 100 + INTERVAL_MS), "a?");
    assert_true(conflate_stale(table, 1, "a", 1, 500));
    note(table, "a", 12, 510); /* it was touched */
    assert_string_equal(take_all(table, 500 + INTERVAL_MS), "a!");
    publish(table, "a", 12, 750);
    assert_int_equal(conflate_stats(table).stale, 0);
    assert_false(conflate_resyncing(table, 1));
    /* One that is not in the table is taken in; a full one takes none. */
    assert_true(conflate_stale(table, 1, "b", 1, 800));
    note(table, "a", 13, 801);
    note(table, "b", 13, 801);
    assert_false(conflate_stale(table, 1, "c", 1, 802));
    assert_int_equal(conflate_version(table, "a", 1), 12);
    assert_int_equal(conflate_version(table, "c", 1), 0);
    conflate_free(table);
}

/* Resync survives whatever happens to the articles that it has yet to come to. */
static void resync_passes_what_leaves_its_place(void **state)
{
    struct conflate *table = make(4);
    (void)state;
    publish(table, "a", 1, 0);
    publish(table, "b", 2, 0);
    publish(table, "c", 3, 0);
    publish(table, "d", 4, 0);
    conflate_reset(table);
    conflate_resync(table, 1);
    note(table, "d", 5, 1); /* the first that would come */
    note(table, "e", 6, 1); /* for which a, the last, is forgotten */
    assert_string_equal(take_all(table, 1), "d e");
    conflate_resync_more(table, 0, 1);
    note(table, "b", 7, 1); /* the last */
    assert_string_equal(take_all(table, 1), "c? b");
    assert_int_equal(conflate_resync_more(table, 0, 5), 0);
    conflate_drop(table, "c", 1);
    assert_false(conflate_resyncing(table, 1));
    conflate_free(table);
}

/* What a lookup that failed had asked for is due again, and no other. */
static void a_batch_is_given_back(void **state)
{
    struct conflate *table = make(10);
    struct conflate_due first[2], second[2];
    (void)state;
    note(table, "a", 1, 0);
    note(table, "b", 2, 0);
    assert_int_equal(conflate_take(table, 1, 0, first, 2), 2);
    note(table, "c", 3, 0);
    assert_int_equal(conflate_take(table, 1, 0, second, 2), 1);
    conflate_give_back_batch(table, first[0].batch);
    assert_int_equal(conflate_next_ms(table, 0, 0), 0);
    assert_string_equal(take_all(table, 0), "a b");
    conflate_give_back_batch(table, second[0].batch);
    assert_string_equal(take_all(table, 0), "c");
    conflate_free(table);
}

/* ---- by shard ---- */

static void note_in(struct conflate *table, uint32_t shard, const char *article, uint64_t version)
{
    assert_int_equal(conflate_note(table, shard, article, strlen(article), version, 0),
                     CONFLATE_NOTED);
}

static void publish_in(struct conflate *table, uint32_t shard, const char *article)
{
    conflate_published(table, shard, article, strlen(article), 1, 0);
}

/* The shard that comes next, and its first article: "2 a"; "" none. */
static const char *take_next(struct conflate *table, uint64_t busy, uint64_t now_ms)
{
    static char text[32];
    struct conflate_due due[1];
    uint32_t shard;
    if (!conflate_due_shard(table, now_ms, busy, &shard))
        return "";
    assert_int_equal(conflate_take(table, shard, now_ms, due, 1), 1);
    assert_int_equal(due[0].shard, shard);
    snprintf(text, sizeof text, "%u %.*s%s", (unsigned)shard, (int)due[0].article_bytes,
             due[0].article, due[0].compare ? "!" : "");
    return text;
}

static void the_shard_that_waits_longest_is_next(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note_in(table, 2, "a", 1);
    note_in(table, 0, "b", 2);
    note_in(table, 2, "c", 3);
    note_in(table, 3, "d", 4);
    assert_string_equal(take_next(table, 0, 0), "2 a");
    assert_string_equal(take_next(table, 0, 0), "0 b");
    conflate_give_back(table, "b", 1);
    assert_string_equal(take_next(table, 0, 0), "0 b"); /* it had its turn */
    assert_string_equal(take_next(table, 0, 0), "2 c");
    assert_string_equal(take_next(table, 0, 0), "3 d");
    assert_string_equal(take_next(table, 0, 0), "");
    conflate_free(table);
}

static void a_busy_shard_holds_up_no_other(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note_in(table, 2, "a", 1);
    note_in(table, 0, "b", 2);
    assert_string_equal(take_next(table, 1u << 2, 0), "0 b");
    assert_string_equal(take_next(table, 1u << 2, 0), "");
    assert_true(conflate_next_ms(table, 0, 1u << 2) == UINT64_MAX);
    assert_true(conflate_next_ms(table, 0, 0) == 0);
    assert_string_equal(take_next(table, 0, 0), "2 a");
    conflate_free(table);
}

static void a_reset_is_of_one_shard(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    note_in(table, 2, "a", 1);
    note_in(table, 2, "b", 2);
    note_in(table, 3, "c", 3);
    note_in(table, 3, "d", 4);
    assert_string_equal(take_next(table, 0, 0), "2 a");
    assert_string_equal(take_next(table, 1u << 2, 0), "3 c");
    conflate_reset_shard(table, 2); /* one was taken, the other was due */
    assert_int_equal(conflate_oldest_waiting(table, 2), 0);
    assert_int_equal(conflate_oldest_waiting(table, 3), 3);
    assert_int_equal(conflate_stats(table).waiting, 2);
    assert_string_equal(take_next(table, 0, 0), "3 d");
    assert_string_equal(take_next(table, 0, 0), "");
    conflate_give_back(table, "a", 1); /* nothing is known of it any more */
    assert_string_equal(take_next(table, 0, 0), "");
    conflate_free(table);
}

static void a_resync_is_of_one_shard(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish_in(table, 2, "a");
    publish_in(table, 3, "b");
    publish_in(table, 2, "c");
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "");
    conflate_resync(table, 2);
    assert_true(conflate_resyncing(table, 2));
    assert_false(conflate_resyncing(table, 3));
    assert_int_equal(conflate_resync_more(table, 0, 10), 2);
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "2 c!");
    conflate_drop(table, "c", 1);
    /* Another one begins before the first has ended: nothing is compared twice for the same. */
    conflate_resync(table, 3);
    assert_int_equal(conflate_resync_more(table, 0, 10), 1);
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "2 a!");
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "3 b!");
    assert_true(conflate_resyncing(table, 2) && conflate_resyncing(table, 3));
    conflate_drop(table, "a", 1);
    assert_false(conflate_resyncing(table, 2));
    assert_true(conflate_stale(table, 3, "b", 1, INTERVAL_MS));
    assert_true(conflate_resyncing(table, 3));
    publish_in(table, 3, "b");
    assert_false(conflate_resyncing(table, 3));
    conflate_free(table);
}

/* A shard that goes away while it is compared is compared from the start when it is back. */
static void a_resync_begins_again_with_its_shard(void **state)
{
    struct conflate *table = make(10);
    (void)state;
    publish_in(table, 2, "a");
    publish_in(table, 2, "b");
    publish_in(table, 3, "c");
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "");
    conflate_resync(table, 2);
    conflate_resync(table, 3);
    assert_int_equal(conflate_resync_more(table, 0, 2), 2); /* c, b */
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "3 c!");
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "2 b!");
    conflate_drop(table, "b", 1);
    conflate_reset_shard(table, 2);
    assert_int_equal(conflate_resync_more(table, 1u << 2, 10), 0); /* a is left out */
    conflate_resync(table, 2);
    assert_true(conflate_resyncing(table, 2));
    assert_int_equal(conflate_resync_more(table, 0, 10), 2);
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "2 b!");
    assert_string_equal(take_next(table, 0, INTERVAL_MS), "2 a!");
    conflate_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_change_goes_at_once),
        cmocka_unit_test(then_once_an_interval),
        cmocka_unit_test(change_within_the_interval_waits),
        cmocka_unit_test(change_while_fetched_is_not_lost),
        cmocka_unit_test(repeats_once),
        cmocka_unit_test(repeats_what_a_repeat_found),
        cmocka_unit_test(repeats_on_demand),
        cmocka_unit_test(again_on_demand),
        cmocka_unit_test(change_puts_the_repeat_off),
        cmocka_unit_test(known_versions_are_not_due),
        cmocka_unit_test(lower_versions_are_not_allowed),
        cmocka_unit_test(reset_forgets_what_waits),
        cmocka_unit_test(gives_back),
        cmocka_unit_test(redis_that_went_back_ends_the_waiting),
        cmocka_unit_test(hurry_ends_the_interval),
        cmocka_unit_test(bound_forgets_the_quietest),
        cmocka_unit_test(bound_refuses_when_all_wait),
        cmocka_unit_test(bound_takes_repeats_before_refusing),
        cmocka_unit_test(what_was_published_as_forgotten_may_be_missing),
        cmocka_unit_test(resync_has_all_compared_once),
        cmocka_unit_test(what_is_stale_comes_until_it_is_not),
        cmocka_unit_test(resync_passes_what_leaves_its_place),
        cmocka_unit_test(a_batch_is_given_back),
        cmocka_unit_test(the_shard_that_waits_longest_is_next),
        cmocka_unit_test(a_busy_shard_holds_up_no_other),
        cmocka_unit_test(a_reset_is_of_one_shard),
        cmocka_unit_test(a_resync_is_of_one_shard),
        cmocka_unit_test(a_resync_begins_again_with_its_shard),
        cmocka_unit_test(holds_under_random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
