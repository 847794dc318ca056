#include "unit.h"

#include "replica_wait.h"

#include <string.h>

static const redisReply REFUSED = {.type = REDIS_REPLY_ERROR, .str = (char *)"NOPERM wait"},
                        REPLICA = {.type = REDIS_REPLY_ERROR,
                                   .str =
                                       (char *)"ERR WAIT cannot be used with replica instances."},
                        NOBODY = {.type = REDIS_REPLY_INTEGER, .integer = 0},
                        ONE = {.type = REDIS_REPLY_INTEGER, .integer = 1},
                        TEXT = {.type = REDIS_REPLY_STATUS, .str = (char *)"OK"};

static void waits_only_where_there_are_replicas(void **state)
{
    const char *words[REPLICA_WAIT_WORDS];
    struct replica_wait wait = {.needs_wait = true};
    (void)state;
    assert_true(replica_wait_due(&wait, 2, words));
    assert_string_equal(words[0], "WAIT");
    assert_false(replica_wait_due(&wait, 0, words));
    assert_false(replica_wait_due(&wait, 2, words));
}

static void goes_on_once_a_replica_has_it(void **state)
{
    char why[STORE_WHY_BYTES] = "";
    struct replica_wait wait = {.needs_wait = true};
    (void)state;
    assert_false(replica_wait_answered(&wait, &NOBODY, why));
    assert_non_null(strstr(why, "no replica"));
    assert_false(replica_wait_answered(&wait, &TEXT, why));
    assert_true(wait.needs_wait);
    assert_true(replica_wait_answered(&wait, &ONE, why));
    assert_false(wait.needs_wait);
}

static void a_refusal_is_no_success(void **state)
{
    char why[STORE_WHY_BYTES] = "";
    struct replica_wait wait = {.needs_wait = true};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_false(replica_wait_answered(&wait, &REFUSED, why));
        assert_non_null(strstr(why, "NOPERM wait"));
        assert_true(wait.needs_wait && wait.said);
    }
}

static void a_service_may_refuse(void **state)
{
    char why[STORE_WHY_BYTES] = "";
    struct replica_wait wait = {.needs_wait = true, .optional = true};
    (void)state;
    assert_false(replica_wait_answered(&wait, &NOBODY, why));
    assert_false(replica_wait_answered(&wait, &REPLICA, why)); /* a failover, not a refusal */
    assert_non_null(strstr(why, "its new kinds are not replicated: ERR WAIT cannot"));
    assert_false(wait.said);
    assert_true(replica_wait_answered(&wait, &REFUSED, why));
    assert_true(wait.said && !wait.needs_wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_only_where_there_are_replicas),
        cmocka_unit_test(goes_on_once_a_replica_has_it),
        cmocka_unit_test(a_refusal_is_no_success),
        cmocka_unit_test(a_service_may_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
