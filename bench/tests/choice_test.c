#include "unit.h"

#include "choice.h"

#define DRAWS 200000

/* Share of each article in DRAWS reactions of one connection. */
static void draw(const struct choice_config *config, double *share)
{
    struct choice_memory memory;
    struct choice *choice = choice_new(config);
    assert_non_null(choice);
    choice_begin(&memory, 1, 0);
    for (int i = 0; i < DRAWS; i++) {
        struct choice_reaction reaction = choice_next(choice, &memory);
        assert_true(reaction.article < config->articles);
        share[reaction.article] += 1.0 / DRAWS;
    }
    choice_free(choice);
}

static void require_near(double share, double wanted, unsigned article)
{
    /* six standard deviations: the seed is fixed, so it holds always or never */
    double allowed = 6 * 0.5 / 447.2 * (wanted < 0.01 ? 0.2 : 1);
    require(share > wanted - allowed && share < wanted + allowed, "article %u: %f for %f", article,
            share, wanted);
}

static void articles_follow_the_spread(void **state)
{
    static double zipf[1000], even[10];
    double sum = 0;
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(zipf); i++)
        sum += 1.0 / (i + 1);
    draw(&(struct choice_config){.articles = COUNT_OF(zipf), .zipf = true, .kinds = CHOICE_KINDS},
         zipf);
    for (unsigned i = 0; i < COUNT_OF(zipf); i++)
        require_near(zipf[i], 1.0 / (i + 1) / sum, i);
    draw(&(struct choice_config){.articles = COUNT_OF(even), .kinds = CHOICE_KINDS}, even);
    for (unsigned i = 0; i < COUNT_OF(even); i++)
        require_near(even[i], 0.1, i);
}

static void shares_of_changes_and_retractions_are_kept(void **state)
{
    const struct choice_config config = {
        .articles = 50, .kinds = 6, .changes = 20, .retractions = 10};
    struct choice_memory memory;
    struct choice *choice = choice_new(&config);
    static uint8_t kind_of[DRAWS], article_of[DRAWS];
    unsigned none = 0, changed = 0;
    uint64_t readers = 0;
    (void)state;
    assert_non_null(choice);
    choice_begin(&memory, 3, 1);
    for (int i = 0; i < DRAWS; i++) {
        struct choice_reaction reaction = choice_next(choice, &memory);
        if (reaction.reader == readers) { /* a first one */
            assert_int_not_equal(reaction.kind, 0);
            assert_int_equal(reaction.before, -1);
            kind_of[readers] = reaction.kind;
            article_of[readers++] = (uint8_t)reaction.article;
            continue;
        }
        assert_true(reaction.reader < readers && reaction.kind <= config.kinds);
        assert_int_equal(article_of[reaction.reader], reaction.article);
        assert_int_equal(reaction.before, kind_of[reaction.reader]);
        none += reaction.kind == 0;
        changed += reaction.kind != 0;
        assert_true(reaction.kind == 0 || kind_of[reaction.reader] != reaction.kind);
        kind_of[reaction.reader] = reaction.kind;
    }
    require_between(changed, DRAWS / 100 * 19, DRAWS / 100 * 21);
    require_between(none, DRAWS / 100 * 9, DRAWS / 100 * 11);
    choice_free(choice);
}

static void a_connection_never_repeats_itself_on_one_article(void **state)
{
    const struct choice_config config = {.articles = 1, .kinds = CHOICE_KINDS};
    struct choice_memory memory;
    struct choice *choice = choice_new(&config);
    uint8_t last = 0;
    (void)state;
    assert_non_null(choice);
    choice_begin(&memory, 1, 5);
    for (int i = 0; i < 100; i++) {
        uint8_t kind = choice_next(choice, &memory).kind;
        assert_int_not_equal(kind, last);
        last = kind;
    }
    choice_free(choice);
}

static void readers_come_again_after_the_last(void **state)
{
    const struct choice_config config = {.articles = 3, .kinds = CHOICE_KINDS, .readers = 5};
    struct choice_memory memory;
    struct choice *choice = choice_new(&config);
    (void)state;
    assert_non_null(choice);
    choice_begin(&memory, 1, 0);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(choice_next(choice, &memory).reader, i % 5);
    choice_free(choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(articles_follow_the_spread),
        cmocka_unit_test(shares_of_changes_and_retractions_are_kept),
        cmocka_unit_test(a_connection_never_repeats_itself_on_one_article),
        cmocka_unit_test(readers_come_again_after_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
