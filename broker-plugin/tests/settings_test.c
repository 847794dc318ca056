#include "unit.h"

#include "settings.h"

static struct settings settings;
static char error[1024];

/* The required ones, and one more. */
static int load_with(const char *name, const char *value)
{
    const char *names[] = {"spool", "services_file", "key_file", name};
    const char *values[] = {"/s", "/f", "/k", value};
    error[0] = '\0';
    memset(&settings, 0x55, sizeof settings);
    return settings_load(&settings, names, values, name == NULL ? 3 : 4, error, sizeof error);
}

static void has_defaults(void **state)
{
    (void)state;
    assert_int_equal(load_with(NULL, NULL), 0);
    assert_string_equal(settings.spool, "/s");
    assert_string_equal(settings.services_file, "/f");
    assert_string_equal(settings.key_file, "/k");
    assert_int_equal(settings.shards, 8);
    assert_int_equal(settings.ring_bytes, 33554432);
    assert_int_equal(settings.kind_table.n, 7);
    assert_string_equal(settings.kind_table.name[1], "like");
    assert_string_equal(settings.kind_table.name[7], "wow");
    assert_string_equal(settings.topic_prefix, "");
    assert_false(settings.allow_wildcards);
    assert_false(settings.auto_id_may_react);
    assert_int_equal(settings.max_subscriptions, 256);
    assert_true(settings.by_username);
    assert_true(settings.by_client_id);
    assert_false(settings.by_token);
    assert_string_equal(settings.token_keys, "");
    assert_string_equal(settings.token_issuer, "");
    assert_string_equal(settings.token_audience, "");
    assert_true(settings.limits);
    assert_int_equal(settings.reader_rate, 5);
    assert_int_equal(settings.reader_burst, 20);
    assert_int_equal(settings.address_rate, 200);
    assert_int_equal(settings.address_burst, 2000);
    assert_int_equal(settings.connect_rate, 100);
    assert_int_equal(settings.connect_burst, 2000);
    assert_int_equal(settings.refusal_rate, 100);
    assert_int_equal(settings.refusal_burst, 500);
    assert_int_equal(settings.signature_rate, 2000);
    assert_int_equal(settings.signature_burst, 2000);
    assert_int_equal(settings.proxy_nets.n, 0);
    assert_true(settings.auto_create);
    assert_int_equal(settings.auto_create_rate, 60);
    assert_int_equal(settings.address_create_rate, 10);
    assert_int_equal(settings.address_create_burst, 25);
    assert_int_equal(settings.reader_create_rate, 5);
    assert_int_equal(settings.reader_create_burst, 10);
    assert_int_equal(settings.forget_hours, 6);
    assert_int_equal(settings.max_articles, 100000);
}

static void takes_what_is_right(void **state)
{
    static const char *const rows[][2] = {
        {"shards", "1"},
        {"shards", "64"},
        {"ring_bytes", "1048576"},
        {"ring_bytes", "1073741824"},
        {"kinds", "up,down"},
        {"topic_prefix", "news/"},
        {"topic_prefix", ""},
        {"allow_wildcards", "on"},
        {"auto_id_may_react", "true"},
        {"max_subscriptions", "65536"},
        {"identities", "client_id,username"},
        {"limits", "off"},
        {"reader_rate", "10000"},
        {"reader_burst", "1"},
        {"address_rate", "1000000"},
        {"connect_burst", "1000000"},
        {"trusted_proxies", ""},
        {"auto_create", "off"},
        {"auto_create_rate", "1"},
        {"max_articles", "1000000"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        require(load_with(rows[i][0], rows[i][1]) == 0, "%s", error);
    assert_int_equal(load_with("identities", "username"), 0);
    assert_true(settings.by_username);
    assert_false(settings.by_client_id);
    assert_int_equal(load_with("identities", "client_id"), 0);
    assert_false(settings.by_username);
    assert_true(settings.by_client_id);
    assert_int_equal(load_with("limits", "off"), 0);
    assert_false(settings.limits);
    assert_int_equal(load_with("trusted_proxies", "10.0.0.0/8,2001:db8::1"), 0);
    assert_int_equal(settings.proxy_nets.n, 2);
    assert_int_equal(settings.proxy_nets.net[1].bits, 128);
}

static int load_tokens(const char *identities, const char *keys, const char *issuer)
{
    const char *names[] = {"spool",      "services_file", "key_file",
                           "identities", "token_issuer",  "token_keys"};
    const char *values[] = {"/s", "/f", "/k", identities, issuer, keys};
    return settings_load(&settings, names, values, keys == NULL ? 5 : 6, error, sizeof error);
}

/* Tokens and the keys to check them by go together. */
static void takes_tokens_with_keys(void **state)
{
    static const struct {
        const char *identities;
        bool by_username, by_client_id;
    } rows[] = {
        {"token", false, false},
        {"token,username", true, false},
        {"client_id,token", false, true},
        {"username,client_id,token", true, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(load_tokens(rows[i].identities, "/keys", "us") == 0, "%s", error);
        assert_true(settings.by_token);
        assert_int_equal(settings.by_username, rows[i].by_username);
        assert_int_equal(settings.by_client_id, rows[i].by_client_id);
        assert_string_equal(settings.token_keys, "/keys");
        assert_string_equal(settings.token_issuer, "us");
        require(load_tokens(rows[i].identities, NULL, "us") == -1, "%s", rows[i].identities);
        assert_non_null(strstr(error, "token_keys"));
        assert_non_null(strstr(error, "JWKS"));
    }
}

/* Each error names the option, and what it accepts. */
static void names_what_is_wrong(void **state)
{
    static const char *const rows[][3] = {
        {"shards", "0", "1 to 64"},
        {"shards", "65", "1 to 64"},
        {"shards", "8x", "1 to 64"},
        {"ring_bytes", "1048575", "multiple of 4096"},
        {"ring_bytes", "1048577", "multiple of 4096"},
        {"ring_bytes", "1073745920", "multiple of 4096"},
        {"kinds", "", "1 to 15 names"},
        {"kinds", "Like", "a-z"},
        {"kinds", "like,like", "twice"},
        {"kinds", "none", "none"},
        {"kinds", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "15"},
        {"topic_prefix", "news", "end with /"},
        {"topic_prefix", "#/", "end with /"},
        {"allow_wildcards", "perhaps", "on or off"},
        {"auto_id_may_react", "", "on or off"},
        {"max_subscriptions", "0", "1 to 65536"},
        {"max_subscriptions", "65537", "1 to 65536"},
        {"identities", "", "username"},
        {"identities", "name", "client_id"},
        {"identities", "username,", "client_id"},
        {"identities", "username,username", "client_id"},
        {"identities", "token,token", "client_id"},
        {"identities", "tokens", "client_id"},
        {"token_keys", "/k", "identities"},
        {"token_issuer", "us", "identities"},
        {"token_audience", "it", "identities"},
        {"limits", "some", "on or off"},
        {"reader_rate", "0", "1 to 10000"},
        {"reader_burst", "1000001", "1 to 1000000"},
        {"address_rate", "0", "1 to 1000000"},
        {"address_burst", "", "1 to 1000000"},
        {"connect_rate", "fast", "1 to 1000000"},
        {"connect_burst", "-1", "1 to 1000000"},
        {"trusted_proxies", "10.0.0.1/8", "networks"},
        {"auto_create", "sometimes", "on or off"},
        {"auto_create_rate", "0", "1 to 1000000"},
        {"max_articles", "1000001", "1 to 1000000"},
        {"spool", "/again", "twice"},
        {"spol", "/s", "spool"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(load_with(rows[i][0], rows[i][1]) == -1, "%s=%s", rows[i][0], rows[i][1]);
        require(strstr(error, rows[i][0]) != NULL, "%s=%s: %s", rows[i][0], rows[i][1], error);
        require(strstr(error, rows[i][2]) != NULL, "%s=%s: %s", rows[i][0], rows[i][1], error);
    }
    assert_int_equal(load_with("kinds", NULL), -1); /* a pair without a value */
}

static void names_what_is_missing(void **state)
{
    static const char *const names[] = {"spool", "services_file", "key_file"};
    (void)state;
    for (size_t missing = 0; missing < COUNT_OF(names); missing++) {
        const char *given[2], *values[2] = {"/x", "/y"};
        for (size_t i = 0, n = 0; i < COUNT_OF(names); i++)
            if (i != missing)
                given[n++] = names[i];
        assert_int_equal(settings_load(&settings, given, values, 2, error, sizeof error), -1);
        assert_non_null(strstr(error, names[missing]));
        assert_non_null(strstr(error, "missing"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_defaults),           cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(takes_tokens_with_keys), cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
