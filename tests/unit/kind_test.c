#include "unit.h"

#include "core/kind.h"
#include "core/reason.h"

static const char *const good_names[] = {"a", "like", "a-b_c9", "abcdefghijklmnop", "none"};
static const char *const bad_names[] = {
    "",           "Like", "9a",  "-a",   "_a",   "a b", "a\n", "abcdefghijklmnopq",
    "li\xc3\xa9", "a.",   "a/b", "lik,", "a\x7f"};

static const char seven[] = "like,dislike,love,funny,angry,sad,wow";
static const char fifteen[] = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o";

static void knows_a_names_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_names); i++)
        require(kind_name_valid(good_names[i], strlen(good_names[i])), "'%s'", good_names[i]);
    for (size_t i = 0; i < COUNT_OF(bad_names); i++)
        require(!kind_name_valid(bad_names[i], strlen(bad_names[i])), "'%s'", bad_names[i]);
    assert_false(kind_name_valid("a\0b", 3));
}

static void numbers_the_names_in_order(void **state)
{
    struct kind_table table;
    struct error error = {0};
    (void)state;
    assert_int_equal(kind_table_parse(&table, seven, &error), 0);
    assert_int_equal(table.n, 7);
    assert_string_equal(table.name[0], "none");
    assert_string_equal(table.name[5], "angry");
    assert_int_equal(kind_find(&table, "none", 4), KIND_NONE);
    assert_int_equal(kind_find(&table, "like", 4), 1);
    assert_int_equal(kind_find(&table, "wow", 3), 7);
    assert_int_equal(kind_find(&table, "wowed", 3), 7);
    assert_int_equal(kind_find(&table, "wowed", 5), KIND_UNKNOWN);
    assert_int_equal(kind_find(&table, "lik", 3), KIND_UNKNOWN);
    assert_int_equal(kind_find(&table, "likes", 5), KIND_UNKNOWN);
    assert_int_equal(kind_find(&table, "", 0), KIND_UNKNOWN);
    assert_int_equal(kind_find(&table, "like\0", 5), KIND_UNKNOWN);
    assert_int_equal(kind_find(&table, "abcdefghijklmnopq", 17), KIND_UNKNOWN);
}

static void takes_fifteen(void **state)
{
    struct kind_table table;
    struct error error = {0};
    (void)state;
    assert_int_equal(kind_table_parse(&table, fifteen, &error), 0);
    assert_int_equal(table.n, KIND_MAX);
    assert_int_equal(kind_find(&table, "o", 1), KIND_MAX);
    assert_int_equal(kind_table_add(&table, "p", 1), KIND_UNKNOWN);
    assert_int_equal(table.n, KIND_MAX);
}

static void says_what_is_wrong_with_a_list(void **state)
{
    static const struct {
        const char *list, *said;
    } cases[] = {
        {"", "kind '' is not a name"},
        {"like,", "kind '' is not a name"},
        {",like", "kind '' is not a name"},
        {"like,,sad", "kind '' is not a name"},
        {"like, sad", "kind ' sad' is not a name"},
        {"like,Sad", "kind 'Sad' is not a name"},
        {"like,abcdefghijklmnopq", "kind 'abcdefghijklmnopq' is not a name"},
        {"like,none", "kind 'none' is always there"},
        {"like,sad,like", "kind 'like' is listed twice"},
        {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "kind 'p' exceeds the limit of 15 kinds"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct kind_table table;
        struct error error = {0};
        require(kind_table_parse(&table, cases[i].list, &error) == -1, "'%s'", cases[i].list);
        require(strstr(error.text, cases[i].said) != NULL, "'%s' says '%s'", cases[i].list,
                error.text);
    }
}

static void names_every_reason(void **state)
{
    static const char *const names[] = {"bad_topic",   "bad_article",  "unknown_article",
                                        "bad_payload", "unknown_kind", "closed",
                                        "rate_reader", "rate_address", "busy",
                                        "clock",       "forbidden"};
    (void)state;
    assert_int_equal(COUNT_OF(names), REASON_COUNT);
    for (int i = 0; i < REASON_COUNT; i++)
        assert_string_equal(reason_name(i), names[i]);
    assert_null(reason_name(REASON_NONE));
    assert_null(reason_name(REASON_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_a_names_form), cmocka_unit_test(numbers_the_names_in_order),
        cmocka_unit_test(takes_fifteen),      cmocka_unit_test(says_what_is_wrong_with_a_list),
        cmocka_unit_test(names_every_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
