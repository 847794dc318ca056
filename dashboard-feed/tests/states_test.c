#include "states.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW UINT64_C(1796112000000) /* 2026-12-01T08:00:00Z */
#define V UINT64_C(1796112000000000)

static struct states *states;
static uint64_t now;
static char shown[128];

static int begin(void **state)
{
    struct states_config config = {.max = 4, .seed = "0123456789abcde"};
    (void)state;
    now = NOW;
    states = states_new(&config);
    return states == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    states_free(states);
    return 0;
}

/* An operator's (version 0) or a feed's. */
static struct article_state of(const char *payload, uint64_t version, bool open)
{
    struct article_state state;
    assert_int_equal(article_state_parse(&state, "a", 1, payload, strlen(payload)), 0);
    state.version = version;
    state.open = open;
    return state;
}

static bool heard(const char *article, const char *payload, uint64_t version, bool open)
{
    struct article_state state = of(payload, version, open);
    return states_heard(states, article, strlen(article), &state, now);
}

static bool stored(const char *article, const char *payload, uint64_t version)
{
    struct article_state state;
    if (payload == NULL)
        return states_stored(states, article, strlen(article), NULL, now);
    state = of(payload, version, false);
    return states_stored(states, article, strlen(article), &state, now);
}

static void begin_load(bool another)
{
    states_store(states, 1, another);
    states_load_begin(states, 0);
}

/* Publishes what is due first, and says what: "a=closed 7", "a=open 8", "a away"; "" nothing. */
static const char *publish(void)
{
    static char text[64];
    struct states_due due;
    if (!states_next_due(states, now, &due))
        return "";
    if (due.state == NULL)
        snprintf(text, sizeof text, "%.*s away", (int)due.bytes, due.article);
    else
        snprintf(text, sizeof text, "%.*s=%s %d", (int)due.bytes, due.article,
                 due.open ? "open" : "closed", (int)(due.state->version % 1000));
    states_published(states);
    return text;
}

static void nothing_is_due(void)
{
    assert_string_equal(publish(), "");
    assert_int_equal(states_stats(states).due, 0);
}

/* Takes the next request: "a=closed", "a=open", "a away"; "" there is none. */
static const char *take(void)
{
    static char text[ARTICLE_MAX_BYTES + 16];
    struct states_request request;
    if (!states_take_request(states, &request))
        return "";
    snprintf(text, sizeof text, "%s%s", request.article,
             request.away           ? " away"
             : request.state.closed ? "=closed"
                                    : "=open");
    assert_int_equal(request.bytes, strlen(request.article));
    return text;
}

static void is_stored(const char *article, uint64_t version)
{
    states_request_stored(states, article, strlen(article), version, now);
}

static void on_shown(void *user, const char *article, size_t bytes)
{
    (void)user;
    snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%.*s ", (int)bytes, article);
}

static void load(bool another)
{
    begin_load(another);
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, false, UINT64_MAX, now);
}

static void what_redis_has_is_published_once(void **state)
{
    (void)state;
    load(true);
    assert_true(stored("a", "open", V + 1));
    assert_string_equal(publish(), "a=open 1");
    nothing_is_due();
    assert_true(stored("a", "open", V + 1));
    nothing_is_due();
    assert_true(stored("a", "closed", V + 2));
    assert_string_equal(publish(), "a=closed 2");
    assert_true(stored("a", NULL, 0));
    assert_string_equal(publish(), "a away");
    nothing_is_due();
    assert_int_equal(states_stats(states).articles, 0);
    assert_true(stored("a", NULL, 0)); /* none, and none known */
    assert_int_equal(states_stats(states).articles, 0);
}

static void what_is_closed_goes_out_first(void **state)
{
    (void)state;
    load(true);
    stored("a", "open", V + 1);
    stored("b", "{\"opens_at\":\"2026-12-01T08:00:01Z\"}", V + 2);
    stored("c", "closed", V + 3);
    assert_string_equal(publish(), "b=closed 2");
    assert_string_equal(publish(), "c=closed 3");
    assert_string_equal(publish(), "a=open 1");
    nothing_is_due();
    states_new_broker(states, now); /* it holds nothing */
    assert_int_equal(states_stats(states).due, 3);
    assert_true(heard("c", "closed", V + 3, false)); /* but this */
    assert_string_equal(publish(), "b=closed 2");
    assert_string_equal(publish(), "a=open 1");
    nothing_is_due();
}

static void what_the_broker_holds_is_judged_when_all_is_loaded(void **state)
{
    (void)state;
    heard("a", "closed", V + 1, false);
    heard("b", "open", V + 2, true);
    heard("c", "open", V + 3, false); /* but it is open by now */
    begin_load(true);
    nothing_is_due();
    stored("b", "open", V + 2);
    stored("c", "open", V + 3);
    assert_string_equal(publish(), "c=open 3");
    nothing_is_due();
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, false, UINT64_MAX, now);
    assert_string_equal(publish(), "a away"); /* Redis has none */
    nothing_is_due();
    assert_int_equal(states_stats(states).articles, 2);
}

static void a_state_that_cannot_be_read_is_left(void **state)
{
    (void)state;
    load(true);
    stored("a", "closed", V + 1);
    assert_string_equal(publish(), "a=closed 1");
    begin_load(false);
    states_load_skip(states, "a", 1);
    states_load_skip(states, "unknown", 7);
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, false, UINT64_MAX, now);
    nothing_is_due();
    load(false);
    assert_string_equal(publish(), "a away");
}

static void a_request_is_stored_and_then_published(void **state)
{
    (void)state;
    load(true);
    assert_true(heard("a", "closed", 0, false));
    nothing_is_due();
    assert_int_equal(states_stats(states).requests, 1);
    assert_string_equal(take(), "a=closed");
    assert_string_equal(take(), "");
    is_stored("a", V + 1);
    assert_int_equal(states_stats(states).requests, 0);
    assert_string_equal(publish(), "a=closed 1");
    nothing_is_due();
    assert_true(states_heard_nothing(states, "a", 1));
    assert_string_equal(take(), "a away");
    is_stored("a", V + 2);
    /* The broker held nothing of it already, except what was published as that was said. */
    assert_string_equal(publish(), "a away");
    nothing_is_due();
    assert_int_equal(states_stats(states).articles, 0);
    states_heard_nothing(states, "a", 1);
    assert_string_equal(take(), "a away");
    is_stored("a", 0); /* Redis had none: what another feed of this broker says ends here */
    nothing_is_due();
    assert_int_equal(states_stats(states).articles, 0);
    is_stored("a", V + 3); /* nobody asked */
    states_request_back(states, "a", 1);
    assert_string_equal(take(), "");
}

/* Nothing is published over what an operator requests until that is stored. */
static void a_request_holds_back_what_redis_has(void **state)
{
    (void)state;
    load(true);
    stored("a", "open", V + 1);
    heard("a", "closed", 0, false);
    nothing_is_due();
    assert_string_equal(take(), "a=closed");
    stored("a", "open", V + 2); /* another edge's */
    nothing_is_due();
    states_request_back(states, "a", 1); /* Redis did not take it */
    nothing_is_due();
    states_retry_requests(states);
    assert_string_equal(take(), "a=closed");
    heard("a", "open", 0, false); /* meanwhile */
    is_stored("a", V + 3);
    nothing_is_due();
    assert_string_equal(take(), "a=open");
    states_heard_nothing(states, "a", 1);
    heard("a", "closed", 0, false);
    is_stored("a", V + 4);
    assert_string_equal(take(), "a=closed");
    is_stored("a", V + 5);
    assert_string_equal(publish(), "a=closed 5");
    nothing_is_due();
    assert_string_equal(take(), "");
}

/* What Redis refuses is not asked for again with each that it takes. */
static void a_request_that_is_refused_waits_apart(void **state)
{
    (void)state;
    load(true);
    heard("a", "closed", 0, false);
    heard("b", "closed", 0, false);
    assert_string_equal(take(), "a=closed");
    states_request_back(states, "a", 1);
    assert_string_equal(take(), "b=closed");
    is_stored("b", V + 1);
    heard("a", "open", 0, false);
    assert_string_equal(take(), "");
    assert_int_equal(states_stats(states).requests, 1);
    heard("c", "closed", 0, false);
    states_retry_requests(states);
    assert_string_equal(take(), "c=closed");
    heard("c", "open", 0, false); /* a newer one, as the older is being stored */
    is_stored("c", V + 2);
    assert_string_equal(take(), "a=open");
    assert_string_equal(take(), "c=open");
    assert_string_equal(take(), "");
    states_retry_requests(states);
    assert_string_equal(take(), "");
}

/* A feed that starts finds at its broker what Redis has lost since. */
static void what_the_broker_holds_above_redis_is_stored_again(void **state)
{
    (void)state;
    assert_true(heard("a", "closed", V + 20, false)); /* Redis has an older one */
    assert_true(heard("b", "closed", V + 15, false)); /* none, and may have lost it */
    assert_true(heard("c", "closed", V + 9, false));  /* none, as an operator requested */
    begin_load(true);
    stored("a", "open", V + 5);
    nothing_is_due(); /* not over what is newer */
    states_load_end(states, 0, UINT64_MAX, now);
    nothing_is_due();
    states_judge(states, 0, false, V + 10, now);
    assert_string_equal(publish(), "c away");
    nothing_is_due();
    assert_string_equal(take(), "a=closed");
    assert_string_equal(take(), "b=closed");
    assert_string_equal(take(), "");
    assert_int_equal(states_stats(states).restored, 2);
    is_stored("a", V + 30);
    assert_string_equal(publish(), "a=closed 30");
}

/* Of another store Redis's count, and get a version above what the broker holds. */
static void what_another_store_holds_passes_what_the_broker_holds(void **state)
{
    struct states_request request;
    (void)state;
    assert_true(heard("a", "closed", V + 20, false));
    assert_true(heard("b", "closed", V + 15, false));
    assert_true(heard("c", "closed", V + 1, false));
    begin_load(true);
    stored("a", "open", V + 5);
    stored("c", "open", V + 2);
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, true, UINT64_MAX, now);
    assert_string_equal(publish(), "c=open 2");
    assert_string_equal(publish(), "b away");
    nothing_is_due();
    assert_true(states_take_request(states, &request));
    assert_string_equal(request.article, "a");
    assert_false(request.state.closed);
    assert_true(request.above == V + 20);
    is_stored("a", V + 21);
    assert_string_equal(publish(), "a=open 21");
}

/* What could not be published is due still, whatever is heard before it is tried again. */
static void what_was_not_published_is_due_still(void **state)
{
    struct states_due due;
    (void)state;
    load(true);
    stored("a", "{\"closes_at\":\"2026-12-01T08:00:01Z\"}", V + 1);
    assert_string_equal(publish(), "a=open 1");
    now = NOW + 1000;
    states_expire(states, now, on_shown, NULL);
    assert_true(states_next_due(states, now, &due) && !due.open);
    begin_load(false);
    stored("a", "{\"closes_at\":\"2026-12-01T08:00:01Z\"}", V + 1);
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, false, UINT64_MAX, now);
    assert_string_equal(publish(), "a=closed 1");
    nothing_is_due();
}

static void what_is_no_state_is_replaced(void **state)
{
    (void)state;
    load(true);
    stored("a", "closed", V + 1);
    assert_string_equal(publish(), "a=closed 1");
    assert_true(states_heard(states, "a", 1, NULL, now));
    assert_string_equal(publish(), "a=closed 1");
    assert_true(states_heard(states, "b", 1, NULL, now));
    assert_string_equal(publish(), "b away");
    nothing_is_due();
}

static void a_time_that_comes(void **state)
{
    (void)state;
    load(true);
    assert_true(states_next_ms(states, now) == UINT64_MAX);
    stored("a",
           "{\"opens_at\":\"2026-12-01T08:00:01Z\",\"closes_at\":\"2026-12-01T08:00:03Z\","
           "\"results\":\"after_close\"}",
           V + 1);
    stored("b", "{\"closes_at\":\"2026-12-01T08:00:02Z\"}", V + 2);
    stored("c", "{\"closes_at\":\"2026-12-01T08:00:00.500Z\",\"results\":\"after_close\"}", V + 3);
    for (int i = 0; i < 3; i++)
        publish();
    nothing_is_due();
    static const struct {
        unsigned at_ms, next_ms;
        const char *published, *shows;
    } rows[] = {
        {0, 500, "", ""},
        {499, 1, "", ""},
        {500, 500, "c=closed 3", "c "},
        {999, 1, "", ""},
        {1000, 1000, "a=open 1", ""},
        {2000, 1000, "b=closed 2", ""},
        {3000, 0, "a=closed 1", "a "},
        {4000, 0, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        now = NOW + rows[i].at_ms;
        shown[0] = '\0';
        states_expire(states, now, on_shown, NULL);
        assert_string_equal(shown, rows[i].shows);
        assert_string_equal(publish(), rows[i].published);
        nothing_is_due();
        uint64_t next_ms = states_next_ms(states, now);
        assert_true(next_ms == (rows[i].next_ms == 0 ? UINT64_MAX : rows[i].next_ms));
    }
    shown[0] = '\0';
    states_shown(states, 0, now, on_shown, NULL); /* after a start */
    assert_true(strcmp(shown, "a c ") == 0 || strcmp(shown, "c a ") == 0);
    stored("c", "open", V + 4);
    shown[0] = '\0';
    states_shown(states, 0, now, on_shown, NULL);
    assert_string_equal(shown, "a ");
}

/* Whatever the order in which they are put in and taken out, the earliest is next. */
static void the_earliest_is_next(void **state)
{
    enum { MANY = 200 };
    struct states_config config = {.max = MANY, .seed = "0123456789abcde"};
    uint64_t closes[MANY] = {0};
    unsigned random = 7;
    (void)state;
    states_free(states);
    states = states_new(&config);
    load(true);
    for (int step = 0; step < 4000; step++) {
        char article[16], payload[64];
        random = random * 1103515245u + 12345u;
        unsigned i = random / 65536 % MANY, at = 1 + random / 4096 % 59000;
        snprintf(article, sizeof article, "a%u", i);
        snprintf(payload, sizeof payload, "{\"closes_at\":\"2026-12-01T08:00:%02u.%03uZ\"}",
                 at / 1000, at % 1000);
        bool away = step % 3 == 0;
        if (stored(article, away ? NULL : payload, V + (uint64_t)step))
            closes[i] = away ? 0 : at;
        while (publish()[0] != '\0')
            continue;
        uint64_t least = UINT64_MAX;
        for (int k = 0; k < MANY; k++)
            if (closes[k] != 0 && closes[k] < least)
                least = closes[k];
        assert_true(states_next_ms(states, now) == least);
    }
    now = NOW + 30000;
    states_expire(states, now, on_shown, NULL);
    size_t closed = 0, left = 0;
    for (int k = 0; k < MANY; k++) {
        closed += closes[k] != 0 && closes[k] <= 30000;
        left += closes[k] > 30000;
    }
    assert_true(closed > 10 && left > 10);
    assert_int_equal(states_stats(states).due, closed);
    assert_int_equal(states_stats(states).articles, closed + left);
}

/* Redis lost its last seconds: what it had then is stored once more. */
static void what_redis_lost(void **state)
{
    (void)state;
    load(true);
    stored("a", "closed", V + 500);
    stored("b", "closed", V + 100);
    stored("c", "closed", V + 300);
    for (int i = 0; i < 3; i++)
        publish();
    begin_load(false);
    stored("c", "open", V + 200); /* what it had before */
    states_load_end(states, 0, V + 400, now);
    states_judge(states, 0, false, UINT64_MAX, now);
    assert_int_equal(states_stats(states).restored, 2);
    assert_string_equal(publish(), "b away"); /* it stood for long: it was taken away */
    nothing_is_due();
    assert_string_equal(take(), "c=closed");
    assert_string_equal(take(), "a=closed");
    stored("a", NULL, 0); /* a look in between, before it is stored */
    is_stored("c", V + 600);
    is_stored("a", V + 601);
    assert_string_equal(publish(), "c=closed 600");
    assert_string_equal(publish(), "a=closed 601");
    nothing_is_due();
    /* In another store nothing is restored. */
    begin_load(true);
    stored("a", "open", V + 5);
    states_load_end(states, 0, UINT64_MAX, now);
    states_judge(states, 0, false, UINT64_MAX, now);
    assert_int_equal(states_stats(states).restored, 2);
    assert_string_equal(take(), "");
    assert_int_equal(states_stats(states).due, 2);
}

static void the_bound(void **state)
{
    (void)state;
    load(true);
    assert_true(stored("a", "closed", V + 1) && stored("b", "closed", V + 2) &&
                heard("c", "closed", 0, false) && heard("d", "open", V + 3, true));
    assert_false(stored("e", "closed", V + 4));
    assert_false(heard("e", "closed", 0, false));
    assert_false(states_heard_nothing(states, "e", 1));
    assert_true(stored("e", NULL, 0));
    assert_true(stored("a", "open", V + 5));
    assert_int_equal(states_stats(states).refused, 3);
    assert_int_equal(states_stats(states).articles, 4);
    while (publish()[0] != '\0')
        continue;
    assert_int_equal(states_stats(states).articles, 3); /* d was nobody's */
    assert_true(stored("e", "closed", V + 4));
}

static void totals_that_stand(void **state)
{
    (void)state;
    load(true);
    assert_true(states_total_retained(states, "a", 1));
    states_set_total_retained(states, "a", 1, false); /* it has no state */
    assert_true(states_total_retained(states, "a", 1));
    stored("a", "{\"results\":\"after_close\"}", V + 1);
    states_set_total_retained(states, "a", 1, false);
    assert_false(states_total_retained(states, "a", 1));
    states_set_total_retained(states, "a", 1, true);
    assert_true(states_total_retained(states, "a", 1));
    states_set_total_retained(states, "a", 1, false);
    states_new_broker(states, now);
    assert_true(states_total_retained(states, "a", 1));
}

static void once_more(void **state)
{
    (void)state;
    load(true);
    stored("a", "closed", V + 1);
    publish();
    states_again(states, "a", 1);
    states_again(states, "unknown", 7);
    assert_string_equal(publish(), "a=closed 1");
    nothing_is_due();
    heard("a", "open", 0, false);
    states_again(states, "a", 1);
    nothing_is_due();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* ---- by shard ---- */

#define SHARDS 4

/* An article of the shard. */
static const char *article_of(uint32_t shard)
{
    static char article[16];
    unsigned i = 0;
    do
        snprintf(article, sizeof article, "a%u", i++);
    while (article_shard(article, strlen(article), SHARDS) != shard);
    return article;
}

static void a_shard_that_is_away_stops_no_other(void **state)
{
    char one[16], two[16];
    (void)state;
    snprintf(one, sizeof one, "%s", article_of(1));
    snprintf(two, sizeof two, "%s", article_of(2));
    assert_true(heard(one, "closed", V + 1, false)); /* before the store was known */
    states_store(states, SHARDS, true);
    assert_true(heard(two, "closed", V + 2, false));
    nothing_is_due();
    states_load_begin(states, 1); /* shard 2 is away: what it has is not known */
    states_load_end(states, 1, UINT64_MAX, now);
    states_judge(states, 1, false, UINT64_MAX, now);
    char away[32];
    snprintf(away, sizeof away, "%s away", one);
    assert_string_equal(publish(), away);
    nothing_is_due();
    states_load_begin(states, 2);
    stored(two, "closed", V + 2);
    states_load_end(states, 2, UINT64_MAX, now);
    states_judge(states, 2, false, UINT64_MAX, now);
    nothing_is_due();
    assert_int_equal(states_stats(states).articles, 1);
}

/* What a shard lost with its last seconds is stored again; another's states stay as they are. */
static void what_one_shard_lost_is_stored_again(void **state)
{
    char one[16], two[16], want[32];
    (void)state;
    snprintf(one, sizeof one, "%s", article_of(1));
    snprintf(two, sizeof two, "%s", article_of(2));
    states_store(states, SHARDS, true);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        states_load_begin(states, shard);
        if (shard == 1)
            stored(one, "closed", V + 500);
        if (shard == 2)
            stored(two, "closed", V + 500);
        states_load_end(states, shard, UINT64_MAX, now);
        states_judge(states, shard, false, UINT64_MAX, now);
    }
    while (publish()[0] != '\0')
        continue;
    states_load_begin(states, 1);
    states_load_end(states, 1, V + 400, now);
    states_judge(states, 1, false, UINT64_MAX, now);
    snprintf(want, sizeof want, "%s=closed", one);
    assert_string_equal(take(), want);
    assert_string_equal(take(), "");
    nothing_is_due();
    assert_int_equal(states_stats(states).restored, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_redis_has_is_published_once),
        TEST(what_is_closed_goes_out_first),
        TEST(what_the_broker_holds_is_judged_when_all_is_loaded),
        TEST(a_state_that_cannot_be_read_is_left),
        TEST(a_request_is_stored_and_then_published),
        TEST(a_request_holds_back_what_redis_has),
        TEST(a_request_that_is_refused_waits_apart),
        TEST(what_was_not_published_is_due_still),
        TEST(what_the_broker_holds_above_redis_is_stored_again),
        TEST(what_another_store_holds_passes_what_the_broker_holds),
        TEST(what_is_no_state_is_replaced),
        TEST(a_time_that_comes),
        TEST(the_earliest_is_next),
        TEST(what_redis_lost),
        TEST(the_bound),
        TEST(totals_that_stand),
        TEST(once_more),
        TEST(a_shard_that_is_away_stops_no_other),
        TEST(what_one_shard_lost_is_stored_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
