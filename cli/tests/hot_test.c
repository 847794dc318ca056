#include "unit.h"

#include "hot.h"

#include <math.h>
#include <stdlib.h>

static struct hot *hot;

static int new_hot(void **state)
{
    (void)state;
    hot = hot_new();
    return hot == NULL;
}

static int free_hot(void **state)
{
    (void)state;
    hot_free(hot);
    return 0;
}

static void total(const char *article, int64_t like, int64_t angry)
{
    const int64_t counts[] = {like, angry};
    hot_take(hot, article, strlen(article), counts, 2);
}

/* A steady rate is shown as it is. */
static void shows_rates(void **state)
{
    struct hot_row rows[3];
    (void)state;
    total("quiet", 5, 5);
    for (int s = 1; s <= 60; s++) {
        hot_pass(hot, 1);
        total("busy", s * 20, 0);
        total("calm", 0, s * 3);
        total("quiet", 5, 5);
    }
    assert_int_equal(hot_top(hot, rows, 3), 2);
    assert_string_equal(rows[0].article, "busy");
    assert_true(fabs(rows[0].per_s - 20) < 2.5);
    assert_int_equal(rows[0].total, 1200);
    assert_string_equal(rows[1].article, "calm");
    assert_true(fabs(rows[1].per_s - 3) < 0.5);
    assert_int_equal(hot_top(hot, rows, 1), 1);
    assert_string_equal(rows[0].article, "busy");
    hot_pass(hot, 60);
    assert_int_equal(hot_top(hot, rows, 3), 0);
}

/* A changed choice is a reaction, a withdrawn one and a repeated total are not. */
static void counts_what_rose(void **state)
{
    struct hot_row rows[4];
    (void)state;
    total("changed", 100, 0);
    total("withdrawn", 100, 0);
    total("repeated", 100, 0);
    for (int i = 1; i <= 50; i++) {
        total("changed", 100 - i, i);
        total("withdrawn", 100 - i, 0);
        total("repeated", 100, 0);
    }
    assert_int_equal(hot_top(hot, rows, 4), 3);
    assert_string_equal(rows[0].article, "changed");
    assert_true(rows[0].per_s > 5);
    assert_true(rows[1].per_s < 0.2 && rows[2].per_s < 0.2);
}

/* Space-Saving: an article with more than 1/HOT_ENTRIES of all reactions is always found, and what
 * is shown is never too high. */
static void finds_the_hottest_among_many(void **state)
{
    static int64_t counts[20000];
    struct hot_row rows[10];
    char name[32];
    (void)state;
    srand(1);
    for (int64_t i = 0; i < 30000; i++) {
        int cold = rand() % 20000;
        snprintf(name, sizeof name, "cold/%d", cold);
        total(name, ++counts[cold], 0);
        if (i % 100 == 0) {
            snprintf(name, sizeof name, "hot/%d", (int)(i / 100 % 3));
            total(name, i / 300 + 1, 0);
        }
    }
    assert_true(hot_top(hot, rows, 10) >= 3);
    for (int i = 0; i < 3; i++) {
        require(strncmp(rows[i].article, "hot/", 4) == 0, "%d: %s", i, rows[i].article);
        assert_true(rows[i].per_s <= 100 * M_LN2 / HOT_HALF_LIFE_S);
        assert_true(rows[i].per_s > 90 * M_LN2 / HOT_HALF_LIFE_S);
    }
}

static void takes_the_longest_name_and_all_kinds(void **state)
{
    char name[ARTICLE_MAX_BYTES + 1];
    int64_t counts[KIND_MAX + 3];
    struct hot_row rows[1];
    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        counts[i] = 1;
    hot_take(hot, name, sizeof name, counts, 1); /* too long: not taken */
    assert_int_equal(hot_top(hot, rows, 1), 0);
    hot_take(hot, name, ARTICLE_MAX_BYTES, counts, COUNT_OF(counts));
    assert_int_equal(hot_top(hot, rows, 1), 1);
    assert_int_equal(strlen(rows[0].article), ARTICLE_MAX_BYTES);
    assert_int_equal(rows[0].total, KIND_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_rates, new_hot, free_hot),
        cmocka_unit_test_setup_teardown(counts_what_rose, new_hot, free_hot),
        cmocka_unit_test_setup_teardown(finds_the_hottest_among_many, new_hot, free_hot),
        cmocka_unit_test_setup_teardown(takes_the_longest_name_and_all_kinds, new_hot, free_hot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
