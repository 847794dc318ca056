#include "unit.h"

#include "batch.h"
#include "core/bytes.h"

#define MAX 8
#define HEADROOM 3

static struct record record(uint64_t sequence, const char *article, uint64_t reader)
{
    struct record out = {.position = sequence * 64,
                         .sequence = sequence,
                         .reader = reader,
                         .stamp = 1000 + sequence,
                         .kind = 2,
                         .article = article,
                         .article_bytes = (uint8_t)strlen(article)};
    return out;
}

static void add(struct batch *batch, uint64_t sequence, const char *article, uint64_t reader)
{
    struct record one = record(sequence, article, reader);
    assert_true(batch_add(batch, &one, 5));
}

static void test_groups_by_article_in_order(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){0, 0});
    add(batch, 0, "article-b", 10);
    add(batch, 1, "article-a", 11);
    add(batch, 2, "article-b", 12);
    add(batch, 3, "article-a/b", 13);
    add(batch, 4, "article-b", 10);
    struct batch_arguments made = batch_finish(batch);
    assert_int_equal(made.n, HEADROOM + 2 * 3);
    const char **argv = made.argv + HEADROOM;
    const size_t *bytes = made.bytes + HEADROOM;
    const char *const articles[] = {"article-b", "article-a", "article-a/b"};
    const size_t votes[] = {3, 1, 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bytes[2 * i], strlen(articles[i]));
        assert_memory_equal(argv[2 * i], articles[i], strlen(articles[i]));
        assert_int_equal(bytes[2 * i + 1], 15 * votes[i]);
        assert_memory_equal(batch_article(batch, (size_t)i + 1)->article, articles[i], 9);
    }
    const uint64_t readers[] = {10, 12, 10, 11, 13}, sequences[] = {0, 2, 4, 1, 3};
    const unsigned char *vote = (const unsigned char *)argv[1];
    for (size_t i = 0; i < 5; i++, vote += 15) {
        assert_int_equal(batch_record(batch, i)->sequence, sequences[i]);
        assert_int_equal(bytes_get_u64(vote), readers[i]);
        uint64_t value = 0;
        for (int k = 8; k < 15; k++)
            value = value << 8 | vote[k];
        assert_int_equal(value, (1000 + sequences[i]) << 4 | 5);
    }
    assert_null(batch_record(batch, 5));
    assert_null(batch_article(batch, 0));
    assert_null(batch_article(batch, 4));
    batch_free(batch);
}

static void test_is_bounded(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){0, 0});
    for (uint64_t i = 0; i < MAX; i++)
        add(batch, i, "article-a", i);
    struct record more = record(MAX, "article-a", 1);
    assert_false(batch_add(batch, &more, 5));
    assert_false(batch_quarantine(batch, &more));
    assert_int_equal(batch_range(batch)->records, MAX);
    assert_int_equal(batch_range(batch)->to.sequence, MAX);
    batch_free(batch);
}

static void assert_point(struct batch_point point, uint64_t position, uint64_t sequence)
{
    assert_int_equal(point.position, position);
    assert_int_equal(point.sequence, sequence);
}

static void test_moves_the_position(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){64, 1});
    assert_point(batch_range(batch)->to, 64, 1);
    add(batch, 1, "article-a", 1);
    add(batch, 2, "article-a", 2);
    struct record quarantined = record(3, "article-a", 3);
    assert_true(batch_quarantine(batch, &quarantined));
    assert_point(batch_range(batch)->from, 64, 1);
    assert_point(batch_range(batch)->to, 256, 4);
    assert_int_equal(batch_range(batch)->first, 64);
    assert_point(batch_range(batch)->end, 256, 4);
    assert_int_equal(batch_range(batch)->records, 2);
    assert_int_equal(batch_range(batch)->quarantined, 1);
    assert_int_equal(batch_range(batch)->lost, 0);
    batch_free(batch);
}

/* What lies before the oldest record, and what is missing between two, is lost: by the sequences.
 */
static void test_counts_gaps_as_lost(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){64, 1});
    add(batch, 5, "article-a", 1);
    add(batch, 6, "article-a", 1);
    add(batch, 9, "article-a", 1);
    assert_int_equal(batch_range(batch)->lost, 4 + 2);
    assert_point(batch_range(batch)->to, 640, 10);
    batch_free(batch);
}

/* What Redis has applied already is sent once more for its receipts' sake: its position stays. */
static void test_never_moves_it_back(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){320, 5});
    add(batch, 2, "article-a", 1);
    add(batch, 3, "article-a", 1);
    assert_point(batch_range(batch)->to, 320, 5);
    assert_point(batch_range(batch)->end, 256, 4);
    add(batch, 4, "article-a", 1);
    add(batch, 5, "article-a", 1);
    assert_point(batch_range(batch)->to, 384, 6);
    assert_int_equal(batch_range(batch)->lost, 0);
    batch_free(batch);
}

static void test_begins_again_empty(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    batch_begin(batch, (struct batch_point){0, 0});
    add(batch, 3, "article-a", 1);
    batch_begin(batch, (struct batch_point){256, 4});
    assert_int_equal(batch_range(batch)->records, 0);
    assert_int_equal(batch_finish(batch).n, HEADROOM);
    assert_int_equal(batch_range(batch)->lost, 0);
    add(batch, 4, "article-a", 1);
    assert_int_equal(batch_finish(batch).n, HEADROOM + 2);
    assert_int_equal(batch_range(batch)->first, 256);
    batch_free(batch);
}

static void test_what_was_applied_is_not_quarantined(void **state)
{
    (void)state;
    struct batch *batch = batch_new(MAX, HEADROOM);
    struct record one = record(3, "article-a", 3), next = record(4, "article-a", 3);
    batch_begin(batch, (struct batch_point){4 * 64, 4});
    assert_true(batch_empty(batch));
    assert_true(batch_quarantine(batch, &one));
    assert_false(batch_empty(batch));
    assert_int_equal(batch_range(batch)->quarantined, 0);
    assert_int_equal(batch_range(batch)->to.sequence, 4);
    assert_int_equal(batch_range(batch)->end.sequence, 4);
    assert_true(batch_quarantine(batch, &next));
    assert_int_equal(batch_range(batch)->quarantined, 1);
    assert_int_equal(batch_range(batch)->to.sequence, 5);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_by_article_in_order),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_moves_the_position),
        cmocka_unit_test(test_counts_gaps_as_lost),
        cmocka_unit_test(test_never_moves_it_back),
        cmocka_unit_test(test_begins_again_empty),
        cmocka_unit_test(test_what_was_applied_is_not_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
