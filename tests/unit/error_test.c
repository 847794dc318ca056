#include "unit.h"

#include "core/error.h"

static int fails(struct error *error, const char *what)
{
    return error_set(error, "%s: %d is not a port", what, 70000);
}

static void sets_the_sentence_and_fails(void **state)
{
    struct error error = {0};
    (void)state;
    assert_string_equal(error.text, "");
    assert_int_equal(fails(&error, "option port"), -1);
    assert_string_equal(error.text, "option port: 70000 is not a port");
    assert_int_equal(fails(&error, "p"), -1);
    assert_string_equal(error.text, "p: 70000 is not a port");
}

static void fails_without_an_error(void **state)
{
    (void)state;
    assert_int_equal(fails(NULL, "option port"), -1);
}

static void cuts_what_does_not_fit(void **state)
{
    char given[ERROR_MAX_BYTES + 1], kept[ERROR_MAX_BYTES];
    struct {
        struct error error;
        char after[8];
    } here;
    (void)state;
    memset(given, 'a', sizeof given);
    memset(kept, 'a', sizeof kept);
    memset(&here, 'x', sizeof here);
    kept[ERROR_MAX_BYTES - 1] = '\0';

    given[ERROR_MAX_BYTES - 1] = '\0'; /* fits */
    assert_int_equal(error_set(&here.error, "%s", given), -1);
    assert_string_equal(here.error.text, kept);

    given[ERROR_MAX_BYTES - 1] = 'a';
    given[ERROR_MAX_BYTES] = '\0'; /* one byte more */
    assert_int_equal(error_set(&here.error, "%s", given), -1);
    assert_string_equal(here.error.text, kept);
    assert_memory_equal(here.after, "xxxxxxxx", sizeof here.after);
}

static void copies_into_a_smaller_place(void **state)
{
    struct error error;
    char out[8];
    (void)state;
    error_set(&error, "seven b");
    memset(out, 'x', sizeof out);
    error_copy(&error, out, sizeof out);
    assert_string_equal(out, "seven b");

    error_set(&error, "eight by");
    error_copy(&error, out, sizeof out);
    assert_string_equal(out, "eight b");

    error_set(&error, "abc");
    error_copy(&error, out, sizeof out);
    assert_string_equal(out, "abc");

    error_copy(&error, out, 1);
    assert_string_equal(out, "");
    out[0] = 'x';
    error_copy(&error, out, 0);
    assert_int_equal(out[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_the_sentence_and_fails),
        cmocka_unit_test(fails_without_an_error),
        cmocka_unit_test(cuts_what_does_not_fit),
        cmocka_unit_test(copies_into_a_smaller_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
