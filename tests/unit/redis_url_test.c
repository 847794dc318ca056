#include "unit.h"

#include "redis/redis_key.h"
#include "redis/redis_url.h"

static void reads_servers(void **state)
{
    struct redis_url url;
    struct error error = {0};
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis://cache", &error), 0);
    assert_int_equal(url.kind, REDIS_URL_ONE);
    assert_int_equal(url.seeds_n, 1);
    assert_string_equal(url.seeds[0].host, "cache");
    assert_int_equal(url.seeds[0].port, 6379);
    assert_false(url.tls);
    assert_int_equal(url.db, 0);
    assert_string_equal(url.user, "");

    assert_int_equal(
        redis_url_parse(&url, "rediss://tally@10.0.0.1:7001,[2001:db8::1]:7002,[::1]/12", &error),
        0);
    assert_true(url.tls);
    assert_int_equal(url.seeds_n, 3);
    assert_string_equal(url.seeds[0].host, "10.0.0.1");
    assert_int_equal(url.seeds[0].port, 7001);
    assert_string_equal(url.seeds[1].host, "2001:db8::1");
    assert_int_equal(url.seeds[1].port, 7002);
    assert_string_equal(url.seeds[2].host, "::1");
    assert_int_equal(url.seeds[2].port, 6379);
    assert_string_equal(url.user, "tally");
    assert_int_equal(url.db, 12);

    assert_int_equal(redis_url_parse(&url, "redis://a/", &error), 0);
    assert_int_equal(url.db, 0);
}

static void reads_a_path(void **state)
{
    struct redis_url url;
    struct error error = {0};
    (void)state;
    assert_int_equal(redis_url_parse(&url, "unix:///run/redis/a:b@c,d.sock", &error), 0);
    assert_int_equal(url.seeds_n, 1);
    assert_string_equal(url.seeds[0].host, "/run/redis/a:b@c,d.sock");
    assert_int_equal(url.seeds[0].port, 0);
    assert_int_equal(redis_url_parse(&url, "unix://bob@/run/redis.sock?db=3", &error), 0);
    assert_string_equal(url.user, "bob");
    assert_string_equal(url.seeds[0].host, "/run/redis.sock");
    assert_int_equal(url.db, 3);
}

static void reads_sentinels(void **state)
{
    struct redis_url url;
    struct error error = {0};
    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis+sentinel://u@s1,s2:26380/my-primary/4", &error),
                     0);
    assert_int_equal(url.kind, REDIS_URL_SENTINEL);
    assert_int_equal(url.seeds_n, 2);
    assert_int_equal(url.seeds[0].port, 26379);
    assert_int_equal(url.seeds[1].port, 26380);
    assert_string_equal(url.name, "my-primary");
    assert_string_equal(url.user, "u");
    assert_int_equal(url.db, 4);
    assert_int_equal(redis_url_parse(&url, "rediss+sentinel://s1/p", &error), 0);
    assert_true(url.tls);
    assert_int_equal(url.db, 0);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"", "does not begin with"},
        {"http://a", "does not begin with"},
        {"redis:/a", "does not begin with"},
        {"Redis://a", "does not begin with"},
        {"redis://", "not a host"},
        {"redis:///1", "not a host"},
        {"redis://a,", "not a host"},
        {"redis://a,,b", "not a host"},
        {"redis://:7", "not a host"},
        {"redis://[::1", "not a host"},
        {"redis://[]:7", "not a host"},
        {"redis://[::1]7", "not a host"},
        {"redis://a b", "not a host"},
        {"redis://a:", "port of a"},
        {"redis://a:0", "port of a"},
        {"redis://a:65536", "port of a"},
        {"redis://a:7x", "port of a"},
        {"redis://a:99999999999", "port of a"},
        {"redis://::1", "not a host"},
        {"redis://a/x", "database"},
        {"redis://a/-1", "database"},
        {"redis://a/1/2", "database"},
        {"redis://a/1000000", "database"},
        {"redis://@a", "user"},
        {"redis://a/b@c", "user"},
        {"redis://u v@a", "user"},
        {"redis://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "more than 16"},
        {"unix://run", "path"},
        {"unix:///", "path"},
        {"unix:///a?db=", "database"},
        {"unix:///a?x=1", "?db="},
        {"redis+sentinel://a", "name of the primary"},
        {"redis+sentinel://a/", "name of the primary"},
        {"redis+sentinel://a/b c", "name of the primary"},
        {"redis+sentinel://a/b/c", "database"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct redis_url url;
        struct error error = {0};
        require(redis_url_parse(&url, rows[i].text, &error) == -1, "%s", rows[i].text);
        require(strstr(error.text, rows[i].said) != NULL, "%s: %s", rows[i].text, error.text);
    }
}

static void refuses_a_password_and_does_not_repeat_it(void **state)
{
    static const char *const texts[] = {
        "redis://:secret@a",      "redis://u:secret@a", "redis://u:se@secret@a:7/1",
        "redis://u:7/secret@a",   "unix://u:secret@/a", "redis+sentinel://u:secret@a/b",
        "redis://u:secret,b:1@a",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct redis_url url;
        struct error error = {0};
        assert_int_equal(redis_url_parse(&url, texts[i], &error), -1);
        require(strstr(error.text, "redis_password_file") != NULL, "%s: %s", texts[i], error.text);
        require(strstr(error.text, "secret") == NULL, "%s: %s", texts[i], error.text);
    }
}

static void takes_the_short_form(void **state)
{
    struct redis_url url;
    (void)state;
    redis_url_of_host(&url, "cache", 6390);
    assert_int_equal(url.seeds_n, 1);
    assert_string_equal(url.seeds[0].host, "cache");
    assert_int_equal(url.seeds[0].port, 6390);
    redis_url_of_host(&url, "/run/redis.sock", 6390);
    assert_string_equal(url.seeds[0].host, "/run/redis.sock");
    assert_int_equal(url.seeds[0].port, 0);
}

static void names_keys(void **state)
{
    char key[REDIS_KEY_BYTES];
    (void)state;
    redis_key(key, REDIS_KEY_PREFIX, 3, "heads");
    assert_string_equal(key, "tally:{3}:heads");
    redis_key(key, "b.", 63, "1:2");
    assert_string_equal(key, "b.{63}:1:2");
    redis_key(key, "b.", REDIS_PLACE_STORE, NULL);
    assert_string_equal(key, "b.store");
}

static void knows_a_prefix(void **state)
{
    (void)state;
    assert_true(redis_key_prefix_valid("tally:"));
    assert_true(redis_key_prefix_valid("a"));
    assert_true(redis_key_prefix_valid("12345678901234567890123456789._-"));
    assert_false(redis_key_prefix_valid("123456789012345678901234567890123"));
    assert_false(redis_key_prefix_valid(""));
    assert_false(redis_key_prefix_valid("a{b}"));
    assert_false(redis_key_prefix_valid("a b"));
    assert_false(redis_key_prefix_valid("\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_servers),
        cmocka_unit_test(reads_a_path),
        cmocka_unit_test(reads_sentinels),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(refuses_a_password_and_does_not_repeat_it),
        cmocka_unit_test(takes_the_short_form),
        cmocka_unit_test(names_keys),
        cmocka_unit_test(knows_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
