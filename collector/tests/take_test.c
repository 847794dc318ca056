#include "unit.h"

#include "core/bytes.h"
#include "take.h"

#define MAX 8

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

static void add(struct take *take, uint64_t sequence, const char *article, uint64_t reader)
{
    struct record one = record(sequence, article, reader);
    assert_true(take_add(take, &one, 5));
}

static void test_groups_by_article_in_order(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    const char *argv[2 * MAX];
    size_t bytes[2 * MAX];
    take_begin(take, (struct take_point){0, 0});
    add(take, 0, "article-b", 10);
    add(take, 1, "article-a", 11);
    add(take, 2, "article-b", 12);
    add(take, 3, "article-a/b", 13);
    add(take, 4, "article-b", 10);
    assert_int_equal(take_articles(take), 3);
    take_arguments(take, argv, bytes, 0);
    const char *const articles[] = {"article-b", "article-a", "article-a/b"};
    const size_t votes[] = {3, 1, 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bytes[2 * i], strlen(articles[i]));
        assert_memory_equal(argv[2 * i], articles[i], strlen(articles[i]));
        assert_int_equal(bytes[2 * i + 1], 15 * votes[i]);
        assert_memory_equal(take_article(take, (size_t)i + 1)->article, articles[i], 9);
    }
    const uint64_t readers[] = {10, 12, 10, 11, 13}, sequences[] = {0, 2, 4, 1, 3};
    const unsigned char *vote = (const unsigned char *)argv[1];
    for (size_t i = 0; i < 5; i++, vote += 15) {
        assert_int_equal(take_record(take, i)->sequence, sequences[i]);
        assert_int_equal(bytes_get_u64(vote), readers[i]);
        uint64_t value = 0;
        for (int k = 8; k < 15; k++)
            value = value << 8 | vote[k];
        assert_int_equal(value, (1000 + sequences[i]) << 4 | 5);
    }
    assert_null(take_record(take, 5));
    assert_null(take_article(take, 0));
    assert_null(take_article(take, 4));
    take_free(take);
}

static void test_is_bounded(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    take_begin(take, (struct take_point){0, 0});
    for (uint64_t i = 0; i < MAX; i++)
        add(take, i, "article-a", i);
    struct record more = record(MAX, "article-a", 1);
    assert_false(take_add(take, &more, 5));
    assert_false(take_set_aside(take, &more));
    assert_int_equal(take_records(take), MAX);
    assert_int_equal(take_to(take).sequence, MAX);
    take_free(take);
}

static void assert_point(struct take_point point, uint64_t position, uint64_t sequence)
{
    assert_int_equal(point.position, position);
    assert_int_equal(point.sequence, sequence);
}

static void test_moves_the_position(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    take_begin(take, (struct take_point){64, 1});
    assert_point(take_to(take), 64, 1);
    add(take, 1, "article-a", 1);
    add(take, 2, "article-a", 2);
    struct record aside = record(3, "article-a", 3);
    assert_true(take_set_aside(take, &aside));
    assert_point(take_from(take), 64, 1);
    assert_point(take_to(take), 256, 4);
    assert_int_equal(take_first(take), 64);
    assert_point(take_end(take), 256, 4);
    assert_int_equal(take_records(take), 2);
    assert_int_equal(take_aside(take), 1);
    assert_int_equal(take_lost(take), 0);
    take_free(take);
}

/* What lies before the oldest record, and what is missing between two, is lost: by the sequences.
 */
static void test_counts_gaps_as_lost(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    take_begin(take, (struct take_point){64, 1});
    add(take, 5, "article-a", 1);
    add(take, 6, "article-a", 1);
    add(take, 9, "article-a", 1);
    assert_int_equal(take_lost(take), 4 + 2);
    assert_point(take_to(take), 640, 10);
    take_free(take);
}

/* What Redis has applied already is sent once more for its receipts' sake: its position stays. */
static void test_never_moves_it_back(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    take_begin(take, (struct take_point){320, 5});
    add(take, 2, "article-a", 1);
    add(take, 3, "article-a", 1);
    assert_point(take_to(take), 320, 5);
    assert_point(take_end(take), 256, 4);
    add(take, 4, "article-a", 1);
    add(take, 5, "article-a", 1);
    assert_point(take_to(take), 384, 6);
    assert_int_equal(take_lost(take), 0);
    take_free(take);
}

static void test_begins_again_empty(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    take_begin(take, (struct take_point){0, 0});
    add(take, 3, "article-a", 1);
    take_begin(take, (struct take_point){256, 4});
    assert_int_equal(take_records(take), 0);
    assert_int_equal(take_articles(take), 0);
    assert_int_equal(take_lost(take), 0);
    add(take, 4, "article-a", 1);
    assert_int_equal(take_articles(take), 1);
    assert_int_equal(take_first(take), 256);
    take_free(take);
}

static void test_what_was_applied_is_not_set_aside(void **state)
{
    (void)state;
    struct take *take = take_new(MAX);
    struct record one = record(3, "article-a", 3), next = record(4, "article-a", 3);
    take_begin(take, (struct take_point){4 * 64, 4});
    assert_true(take_empty(take));
    assert_true(take_set_aside(take, &one));
    assert_false(take_empty(take));
    assert_int_equal(take_aside(take), 0);
    assert_int_equal(take_to(take).sequence, 4);
    assert_int_equal(take_end(take).sequence, 4);
    assert_true(take_set_aside(take, &next));
    assert_int_equal(take_aside(take), 1);
    assert_int_equal(take_to(take).sequence, 5);
    take_free(take);
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
        cmocka_unit_test(test_what_was_applied_is_not_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
