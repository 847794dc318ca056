#include "unit.h"

#include "core/services.h"
#include "temp.h"

#define SECRET "0123456789abcdef"
#define LONG SECRET SECRET SECRET SECRET SECRET SECRET SECRET SECRET /* 128 */
#define NAME64 "abcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh"

static int load(struct services *services, const char *content, struct error *error)
{
    temp_write("services", content, strlen(content), 0600);
    return services_load(services, temp_path("services"), error);
}

static void loads_services(void **state)
{
    struct services services;
    struct error error = {0};
    (void)state;
    assert_int_equal(load(&services,
                          "# who besides readers may connect\n"
                          "tally-collector collector " SECRET "\n"
                          "\n"
                          "tally-feed feed !~secret-without-space\n"
                          "operator operator " SECRET "1\n"
                          "# feed\n" NAME64 " newsroom " LONG "\nbackend gateway " SECRET,
                          &error),
                     0);
    assert_int_equal(services.n, 5);
    assert_int_equal(services_find(&services, "tally-collector")->role, ROLE_COLLECTOR);
    assert_int_equal(services_find(&services, "tally-feed")->role, ROLE_FEED);
    assert_int_equal(services_find(&services, "operator")->role, ROLE_OPERATOR);
    assert_int_equal(services_find(&services, NAME64)->role, ROLE_NEWSROOM);
    assert_string_equal(services_find(&services, NAME64)->secret, LONG);
    assert_int_equal(services_find(&services, "backend")->role, ROLE_GATEWAY);
    assert_null(services_find(&services, "tally"));
    assert_null(services_find(&services, "tally-collector-2"));
    assert_null(services_find(&services, ""));

    assert_int_equal(load(&services, "", &error), 0);
    assert_int_equal(services.n, 0);
}

static void checks_secrets(void **state)
{
    struct services services;
    struct error error = {0};
    (void)state;
    assert_int_equal(load(&services, "a feed " SECRET "\nb feed " LONG "\n", &error), 0);
    const struct service *a = services_find(&services, "a"), *b = services_find(&services, "b");
    assert_true(services_secret_fits(a, SECRET));
    assert_false(services_secret_fits(a, SECRET "0"));
    assert_false(services_secret_fits(a, "0123456789abcde"));
    assert_false(services_secret_fits(a, "0123456789abcdeF"));
    assert_false(services_secret_fits(a, ""));
    assert_false(services_secret_fits(a, NULL));
    assert_false(services_secret_fits(a, LONG));
    assert_true(services_secret_fits(b, LONG));
    assert_false(services_secret_fits(b, LONG "0"));
    assert_false(services_secret_fits(b, LONG LONG));
    assert_false(services_secret_fits(b, SECRET));
}

static void refuses_lines(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"name", "is not"},
        {"name feed", "is not"},
        {" name feed " SECRET, "username"},
        {"Name feed " SECRET, "username"},
        {"na_me feed " SECRET, "username"},
        {NAME64 "x feed " SECRET, "username"},
        {"name  feed " SECRET, "role"},
        {"name reader " SECRET, "role"},
        {"name Feed " SECRET, "role"},
        {"name fee " SECRET, "role"},
        {"name feeds " SECRET, "role"},
        {"name feed 0123456789abcde", "secret"},
        {"name feed " LONG "0", "secret"},
        {"name feed  " SECRET, "secret"},
        {"name feed " SECRET " ", "secret"},
        {"name feed " SECRET " x", "secret"},
        {"name feed " SECRET "\r", "secret"},
        {"name feed " SECRET "\t", "secret"},
        {"name feed " SECRET "\xc3\xa9", "secret"},
        {"name feed ", "secret"},
        {"name\tfeed\t" SECRET, "is not"},
        {"ok feed " SECRET, "twice"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct services services;
        char content[512], at[128];
        struct error error = {0};
        (void)snprintf(content, sizeof content, "# first\nok feed %s\n%s\n", SECRET, cases[i].line);
        require(load(&services, content, &error) == -1, "'%s'", cases[i].line);
        (void)snprintf(at, sizeof at, "%s:3: ", temp_path("services"));
        require(strncmp(error.text, at, strlen(at)) == 0, "'%s' says '%s'", cases[i].line,
                error.text);
        require(strstr(error.text, cases[i].said) != NULL, "'%s' says '%s'", cases[i].line,
                error.text);
        require(strstr(error.text, "0123456") == NULL, "'%s' tells the secret", cases[i].line);
        require(services.n == 0, "'%s'", cases[i].line);
    }
}

static void refuses_files(void **state)
{
    static const mode_t open_modes[] = {0604, 0602, 0601, 0644, 0666};
    struct services services;
    struct error error = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(open_modes); i++) {
        temp_write("services", "a feed " SECRET "\n", 24, open_modes[i]);
        assert_int_equal(services_load(&services, temp_path("services"), &error), -1);
        assert_non_null(strstr(error.text, "0640"));
    }
    temp_write("services", "a feed " SECRET "\n", 24, 0640);
    assert_int_equal(services_load(&services, temp_path("services"), &error), 0);
    assert_int_equal(services_load(&services, temp_path("absent"), &error), -1);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(services_load(&services, temp_folder, &error), -1);
    /* A NUL hides nothing. */
    temp_write("services", "a feed " SECRET "\0x\n", 26, 0600);
    assert_int_equal(services_load(&services, temp_path("services"), &error), -1);
}

static void has_its_bounds(void **state)
{
    static char content[40000];
    struct services services;
    struct error error = {0};
    size_t used = 0;
    (void)state;
    for (int i = 0; i < SERVICES_MAX; i++)
        used += (size_t)sprintf(content + used, "s%d feed %s\n", i, SECRET);
    assert_int_equal(load(&services, content, &error), 0);
    assert_int_equal(services.n, SERVICES_MAX);
    sprintf(content + used, "more feed %s\n", SECRET);
    assert_int_equal(load(&services, content, &error), -1);
    assert_non_null(strstr(error.text, ":65: "));
    memset(content, '#', sizeof content - 1);
    assert_int_equal(load(&services, content, &error), -1);
    assert_non_null(strstr(error.text, "longer than"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_services, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(checks_secrets, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_lines, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_files, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(has_its_bounds, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
