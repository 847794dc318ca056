#include "unit.h"

#include "highest.h"

#include <stdlib.h>

static void take(struct highest *highest, const char *article, int64_t total, uint64_t version)
{
    struct highest_row row = {.total = total, .version = version};
    snprintf(row.article, sizeof row.article, "%s", article);
    highest_take(highest, &row);
}

static void require_order(const struct highest *highest, const char *const *names, size_t n)
{
    assert_int_equal(highest_size(highest), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(highest_row(highest, i)->article, names[i]);
}

static void keeps_the_highest(void **state)
{
    static const char *const first[] = {"b", "a", "c"}, *const then[] = {"e", "b", "a"};
    struct highest *highest = highest_new(3);
    (void)state;
    take(highest, "a", 5, 1);
    take(highest, "b", 9, 1);
    take(highest, "c", 5, 1);
    require_order(highest, first, 3);
    take(highest, "d", 5, 1); /* as high as the last, and behind it by name */
    require_order(highest, first, 3);
    take(highest, "e", 10, 1);
    require_order(highest, then, 3);
    highest_free(highest);
}

/* HSCAN may return an article twice, and it may change meanwhile. */
static void keeps_the_newest_of_an_article(void **state)
{
    static const char *const up[] = {"a", "b"}, *const down[] = {"b", "a"};
    struct highest *highest = highest_new(3);
    (void)state;
    take(highest, "a", 5, 2);
    take(highest, "b", 6, 2);
    take(highest, "a", 5, 2);
    require_order(highest, down, 2);
    take(highest, "a", 7, 3);
    require_order(highest, up, 2);
    take(highest, "a", 9, 1); /* older */
    take(highest, "a", 1, 4);
    require_order(highest, down, 2);
    assert_int_equal(highest_row(highest, 1)->total, 1);
    highest_free(highest);
}

static int by_total(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

static void agrees_with_sorting(void **state)
{
    static int64_t totals[2000];
    char name[16];
    (void)state;
    srand(7);
    for (size_t size = 1; size <= 300; size += 23) {
        struct highest *highest = highest_new(size);
        for (size_t i = 0; i < COUNT_OF(totals); i++) {
            totals[i] = rand() % 5000;
            snprintf(name, sizeof name, "a/%zu", i);
            take(highest, name, totals[i], 1);
        }
        qsort(totals, COUNT_OF(totals), sizeof totals[0], by_total);
        assert_int_equal(highest_size(highest), size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(highest_row(highest, i)->total, totals[i]);
        highest_free(highest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_highest),
        cmocka_unit_test(keeps_the_newest_of_an_article),
        cmocka_unit_test(agrees_with_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
