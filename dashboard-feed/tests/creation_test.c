#include "unit.h"

#include "creation.h"

static void reads_what_refusals_say(void **state)
{
    static const char json[] = "{\"at_ms\":1,\"creation\":{\"known\":1,\"max\":2,\"provisional\":3,"
                               "\"made\":4,\"forgotten\":5,"
                               "\"refused\":{\"off\":6,\"reader\":7,\"address\":8,\"rate\":9,"
                               "\"full\":10}},\"articles\":[]}";
    struct creation creation = {0};
    (void)state;
    assert_int_equal(creation_parse(&creation, json, sizeof json - 1), 0);
    assert_true(creation.heard);
    assert_true(creation.known == 1 && creation.max == 2 && creation.provisional == 3);
    assert_true(creation.made == 4 && creation.forgotten == 5);
    for (int cause = 0; cause < CREATION_CAUSES; cause++)
        assert_true(creation.refused[cause] == 6 + cause);
}

static void what_is_missing_counts_as_0(void **state)
{
    static const char json[] = "{\"creation\":{\"known\":1e999,\"made\":\"x\"}}";
    struct creation creation = {.max = 7};
    (void)state;
    assert_int_equal(creation_parse(&creation, json, sizeof json - 1), 0);
    assert_true(creation.heard && creation.known == 0 && creation.made == 0 && creation.max == 0);
    assert_true(creation.refused[CREATION_RATE] == 0);
}

static void what_tells_nothing_of_it_changes_nothing(void **state)
{
    static const char *const cases[] = {"", "x", "[]", "{}", "{\"creation\":3}"};
    struct creation creation = {.heard = true, .known = 7};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(creation_parse(&creation, cases[i], strlen(cases[i])), -1);
        assert_true(creation.heard && creation.known == 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_refusals_say),
        cmocka_unit_test(what_is_missing_counts_as_0),
        cmocka_unit_test(what_tells_nothing_of_it_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
