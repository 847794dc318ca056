#include "unit.h"

#include "refusals.h"

static struct refusals *refusals;
static struct refusals_sums sums;
static char json[REFUSALS_JSON_MAX_BYTES];

static int begin(void **state)
{
    static const struct reader_key key;
    (void)state;
    memset(&sums, 0, sizeof sums);
    refusals = refusals_new(&key, 4711);
    return refusals == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    refusals_free(refusals);
    return 0;
}

static void count(const char *article, bool known, enum reason reason, uint64_t unix_ms)
{
    refusals_count(refusals, article, strlen(article), known, reason, unix_ms);
}

static bool says(const char *text)
{
    size_t bytes = refusals_write(refusals, &sums, 99, json);
    assert_int_equal(strlen(json), bytes);
    return strstr(json, text) != NULL;
}

static void says_nothing_but_sums_at_first(void **state)
{
    (void)state;
    sums.refused[REASON_BUSY] = 3;
    sums.connections_rate = 4;
    sums.connections_no_room = 5;
    sums.flooded[FLOOD_REACTIONS] = 1;
    sums.flooded[FLOOD_PUBLISH] = 2;
    sums.flooded[FLOOD_SUBSCRIBE] = 3;
    sums.flooded[FLOOD_PACKETS] = 1;
    sums.connections_sessions = 10;
    sums.connections_token = 8;
    sums.connections_rate_signature = 9;
    sums.receipts_dropped = 6;
    sums.known = 10;
    sums.known_max = 11;
    sums.provisional = 12;
    sums.forgotten = 13;
    sums.creations = (struct admit_creations){
        .made = 14, .off = 15, .reader = 16, .address = 17, .rate = 18, .full = 19};
    (void)refusals_write(refusals, &sums, 99, json);
    assert_string_equal(
        json,
        "{\"at_ms\":99,\"refused\":{\"bad_topic\":0,\"bad_article\":0,\"unknown_article\":0,"
        "\"bad_payload\":0,\"unknown_kind\":0,\"closed\":0,\"rate_reader\":0,\"rate_address\":0,"
        "\"busy\":3,\"clock\":0,\"forbidden\":0},\"connections\":{\"rate_address\":4,\"no_room\":5,"
        "\"flood\":7,\"token\":8,\"rate_signature\":9,\"sessions\":10},"
        "\"floods\":{\"reactions\":1,\"publish\":2,\"subscribe\":3,\"packets\":1},"
        "\"receipts_dropped\":6,\"creation\":{\"known\":10,\"max\":11,\"provisional\":12,\"made\":"
        "14,\"forgotten\":13,\"refused\":{\"off\":15,\"reader\":16,\"address\":17,\"rate\":18,"
        "\"full\":19}},\"articles\":[]}");
}

static void counts_by_article_and_reason(void **state)
{
    (void)state;
    count("world/x", true, REASON_RATE_READER, 11);
    count("made-up", false, REASON_UNKNOWN_ARTICLE, 12);
    count("world/x", true, REASON_RATE_READER, 13);
    count("world/x", true, REASON_BUSY, 14);
    assert_true(
        says("\"articles\":[{\"article\":\"world/"
             "x\",\"known\":true,\"since_ms\":11,\"refused\":{\"rate_reader\":2,"
             "\"busy\":1}},{\"article\":\"made-up\",\"known\":false,\"since_ms\":12,\"refused\":{"
             "\"unknown_article\":1}}]"));
}

static void forgets_the_stalest_of_each_sort(void **state)
{
    char article[32];
    (void)state;
    count("first", true, REASON_BUSY, 1);
    count("second", true, REASON_BUSY, 1);
    /* However many ids are made up, no known article is forgotten for one. */
    for (int i = 0; i < 1000; i++) {
        snprintf(article, sizeof article, "made-up-%d", i);
        count(article, false, REASON_UNKNOWN_ARTICLE, 2);
    }
    assert_true(says("\"article\":\"first\""));
    assert_false(says("\"made-up-979\""));
    assert_true(says("\"made-up-980\""));
    for (int i = 0; i < REFUSALS_KNOWN - 2; i++) {
        snprintf(article, sizeof article, "known-%d", i);
        count(article, true, REASON_BUSY, 3);
    }
    count("first", true, REASON_BUSY, 4);
    assert_true(says("\"article\":\"second\""));
    count("one-more", true, REASON_BUSY, 5);
    assert_false(says("\"article\":\"second\""));
    assert_true(
        says("{\"article\":\"first\",\"known\":true,\"since_ms\":1,\"refused\":{\"busy\":2}}"));
    /* What comes again begins at 0, and says since when. */
    count("second", true, REASON_BUSY, 6);
    assert_true(
        says("{\"article\":\"second\",\"known\":true,\"since_ms\":6,\"refused\":{\"busy\":1}}"));
}

static void the_longest_fits(void **state)
{
    char article[201];
    (void)state;
    memset(&sums, 0xff, sizeof sums);
    for (int i = 0; i < REFUSALS_KNOWN + REFUSALS_UNKNOWN; i++) {
        memset(article, 'a', sizeof article - 1);
        article[200] = '\0';
        article[0] = (char)('a' + i % 26);
        article[1] = (char)('a' + i / 26);
        for (int reason = 0; reason < REASON_COUNT; reason++)
            for (int n = 0; n < 12; n++)
                count(article, i < REFUSALS_KNOWN, (enum reason)reason, UINT64_MAX);
    }
    size_t bytes = refusals_write(refusals, &sums, UINT64_MAX, json);
    /* Each count here has 2 digits; with 20 it would still fit. */
    assert_true(bytes + (REFUSALS_KNOWN + REFUSALS_UNKNOWN) * REASON_COUNT * 18u < sizeof json);
    assert_string_equal(json + bytes - 4, "}}]}");
}

static void what_is_only_made_known_is_told_later(void **state)
{
    struct refusals_sums later = sums;
    (void)state;
    later.creations.made++;
    later.known++;
    later.provisional++;
    later.forgotten++;
    assert_false(refusals_differ(&later, &sums, false));
    assert_true(refusals_differ(&later, &sums, true));
    later.creations.rate++;
    assert_true(refusals_differ(&later, &sums, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_nothing_but_sums_at_first, begin, end),
        cmocka_unit_test_setup_teardown(counts_by_article_and_reason, begin, end),
        cmocka_unit_test_setup_teardown(forgets_the_stalest_of_each_sort, begin, end),
        cmocka_unit_test_setup_teardown(the_longest_fits, begin, end),
        cmocka_unit_test_setup_teardown(what_is_only_made_known_is_told_later, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
