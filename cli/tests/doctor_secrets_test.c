#include "unit.h"

#include "doctor_secrets.h"

static bool reaches(uid_t owner, gid_t group, mode_t mode, bool write)
{
    const struct stat folder = {.st_uid = 100, .st_gid = 200},
                      file = {.st_uid = owner, .st_gid = group, .st_mode = mode};
    return doctor_secrets_reaches(&folder, &file, write);
}

static void test_the_class_that_counts_is_the_first_that_fits(void **state)
{
    (void)state;
    assert_true(reaches(100, 1, 0600, true));
    assert_true(reaches(100, 1, 0400, false));
    assert_false(reaches(100, 1, 0400, true));
    assert_false(reaches(100, 200, 0066, false)); /* the owner's own class, whatever others may */
    assert_true(reaches(0, 200, 0640, false));
    assert_false(reaches(0, 200, 0640, true));
    assert_true(reaches(0, 200, 0660, true));
    assert_false(reaches(0, 0, 0640, false));
    assert_true(reaches(0, 0, 0644, false));
    assert_false(reaches(0, 0, 0644, true));
}

static void test_root_reaches_all(void **state)
{
    const struct stat folder = {.st_uid = 0}, file = {.st_uid = 5, .st_mode = 0};
    (void)state;
    assert_true(doctor_secrets_reaches(&folder, &file, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_class_that_counts_is_the_first_that_fits),
        cmocka_unit_test(test_root_reaches_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
