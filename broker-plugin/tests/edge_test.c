#include "unit.h"

#include "edge.h"
#include "temp.h"

#define SERVICES "tally-feed feed 0123456789abcdef\n"
#define KEY "000102030405060708090a0b0c0d0e0f\n"

static struct edge edge, second;
static struct error error;
static const char *limits;

static int begin(void **state)
{
    if (temp_setup(state) != 0)
        return -1;
    limits = "on";
    memset(&edge, 0, sizeof edge);
    memset(&second, 0, sizeof second);
    temp_write("services", SERVICES, strlen(SERVICES), 0600);
    temp_write("key", KEY, strlen(KEY), 0600);
    return 0;
}

static int end(void **state)
{
    edge_close(&edge);
    edge_close(&second);
    return temp_teardown(state);
}

static int open_edge(struct edge *which)
{
    char spool[128], services[128], key[128];
    snprintf(spool, sizeof spool, "%s", temp_path("spool"));
    snprintf(services, sizeof services, "%s", temp_path("services"));
    snprintf(key, sizeof key, "%s", temp_path("key"));
    const char *names[] = {"spool",      "services_file", "key_file",     "shards",
                           "ring_bytes", "topic_prefix",  "max_articles", "limits"};
    const char *values[] = {spool, services, key, "2", "1048576", "news/", "100", limits};
    if (edge_configure(which, names, values, COUNT_OF(names), &error) != 0)
        return -1;
    return edge_open(which, &error);
}

static void admits_into_a_spool_of_files(void **state)
{
    struct admit_verdict verdict;
    struct admit_request request = {.topic = "news/reactions/a",
                                    .payload = "sad",
                                    .payload_bytes = 3,
                                    .may_react = true,
                                    .source = 'c',
                                    .reader = "r",
                                    .reader_bytes = 1,
                                    .client_id = "r",
                                    .unix_ms = 1795510800123u};
    (void)state;
    assert_int_equal(open_edge(&edge), 0);
    admit_reaction(&edge.admit, &request, &verdict);
    assert_int_equal(verdict.reason, REASON_NONE);
    assert_int_equal(spool_producer_ring(edge.spool, verdict.shard)->sequence, 1);
    uint64_t stamp = verdict.record.stamp;
    assert_int_equal(*spool_producer_last_stamp(edge.spool), stamp);
    /* After a restart of the broker, the admission clock continues where it was. */
    edge_close(&edge);
    assert_int_equal(open_edge(&edge), 0);
    admit_reaction(&edge.admit, &request, &verdict);
    assert_int_equal(verdict.reason, REASON_NONE);
    assert_int_equal(verdict.record.stamp, stamp + 1);
    assert_int_equal(spool_producer_ring(edge.spool, verdict.shard)->sequence, 2);
}

static void knows_after_a_restart_what_it_knew(void **state)
{
    (void)state;
    assert_int_equal(open_edge(&edge), 0);
    const struct article_state closed = {.closed = true};
    assert_int_equal(registry_set_state(edge.admit.registry, "a", 1, &closed, 1795510800123u),
                     REGISTRY_APPLIED);
    edge_close(&edge);
    assert_int_equal(open_edge(&edge), 0);
    assert_int_equal(registry_count(edge.admit.registry), 1);
    assert_string_equal(edge.note, "");
}

static void has_no_limits_where_they_are_off(void **state)
{
    (void)state;
    limits = "off";
    assert_int_equal(open_edge(&edge), 0);
    assert_non_null(edge.admit.registry); /* states hold all the same */
    assert_int_equal(registry_judge(edge.admit.registry, "a", 1, 0, 0).verdict, REGISTRY_KNOWN);
    assert_null(edge.admit.readers);
    assert_null(edge.admit.addresses);
    assert_null(edge.connections);
}

static void is_opened_once(void **state)
{
    (void)state;
    assert_int_equal(open_edge(&edge), 0);
    assert_int_equal(open_edge(&second), -1);
    assert_non_null(strstr(error.text, "another"));
    edge_close(&edge);
    edge_close(&second);
    assert_int_equal(open_edge(&second), 0);
}

static void names_the_option_whose_file_is_wrong(void **state)
{
    (void)state;
    temp_write("services", SERVICES, strlen(SERVICES), 0644);
    assert_int_equal(open_edge(&edge), -1);
    assert_non_null(strstr(error.text, "services_file"));
    edge_close(&edge);
    temp_write("services", SERVICES, strlen(SERVICES), 0600);
    temp_write("key", "zz", 2, 0600);
    assert_int_equal(open_edge(&edge), -1);
    assert_non_null(strstr(error.text, "key_file"));
}

#define TOKEN_KEYS                                                                                 \
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8\"}]}"

static int open_edge_with_tokens(void)
{
    char spool[128], services[128], key[128], keys[128];
    snprintf(spool, sizeof spool, "%s", temp_path("spool"));
    snprintf(services, sizeof services, "%s", temp_path("services"));
    snprintf(key, sizeof key, "%s", temp_path("key"));
    snprintf(keys, sizeof keys, "%s", temp_path("keys"));
    const char *names[] = {"spool", "services_file", "key_file", "identities", "token_keys"};
    const char *values[] = {spool, services, key, "token", keys};
    if (edge_configure(&edge, names, values, COUNT_OF(names), &error) != 0)
        return -1;
    return edge_open(&edge, &error);
}

static void keeps_its_token_keys_while_the_file_is_bad(void **state)
{
    (void)state;
    assert_int_equal(open_edge_with_tokens(), -1);
    assert_non_null(strstr(error.text, "option token_keys"));
    edge_close(&edge);
    temp_write("keys", TOKEN_KEYS, strlen(TOKEN_KEYS), 0600);
    require(open_edge_with_tokens() == 0, "%s", error.text);
    const struct token_keys *first = edge.token_keys;
    assert_false(edge_token_keys_changed(&edge));
    temp_write("keys", "{", 1, 0600);
    assert_true(edge_token_keys_changed(&edge));
    assert_int_equal(edge_load_token_keys(&edge, &error), -1);
    assert_non_null(strstr(error.text, "option token_keys"));
    assert_false(edge_token_keys_changed(&edge)); /* said once */
    assert_ptr_equal(edge.token_keys, first);
    assert_int_equal(token_keys_count(edge.token_keys), 1);
    temp_write("keys", TOKEN_KEYS, strlen(TOKEN_KEYS), 0600);
    assert_true(edge_token_keys_changed(&edge));
    assert_int_equal(edge_load_token_keys(&edge, &error), 0);
    assert_int_equal(token_keys_count(edge.token_keys), 1);
}

static void leaves_no_secret_in_memory(void **state)
{
    static const struct edge nothing;
    (void)state;
    assert_int_equal(open_edge(&edge), 0);
    edge_close(&edge);
    assert_memory_equal(&edge, &nothing, sizeof edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(admits_into_a_spool_of_files, begin, end),
        cmocka_unit_test_setup_teardown(knows_after_a_restart_what_it_knew, begin, end),
        cmocka_unit_test_setup_teardown(has_no_limits_where_they_are_off, begin, end),
        cmocka_unit_test_setup_teardown(is_opened_once, begin, end),
        cmocka_unit_test_setup_teardown(names_the_option_whose_file_is_wrong, begin, end),
        cmocka_unit_test_setup_teardown(keeps_its_token_keys_while_the_file_is_bad, begin, end),
        cmocka_unit_test_setup_teardown(leaves_no_secret_in_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
