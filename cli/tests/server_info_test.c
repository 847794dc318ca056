#include "unit.h"

#include "server_info.h"

static const char primary[] = "# Replication\r\n"
                              "role:master\r\n"
                              "connected_slaves:3\r\n"
                              "slave0:ip=10.0.0.1,port=1,state=online,offset=70,lag=0\r\n"
                              "slave1:ip=10.0.0.2,port=1,state=wait_bgsave,offset=99,lag=0\r\n"
                              "slave2:ip=10.0.0.3,port=1,state=online,offset=90,lag=1\r\n"
                              "master_failover_state:no-failover\r\n"
                              "master_repl_offset:100\r\n";

static void test_the_best_online_replica_counts(void **state)
{
    struct server_info_replication found;
    (void)state;
    assert_int_equal(server_info_replication(&found, primary), 0);
    assert_int_equal(found.replicas, 3);
    assert_int_equal(found.offset, 100);
    assert_int_equal(found.best_replica, 90);
}

static void test_a_primary_without_replicas(void **state)
{
    struct server_info_replication found;
    (void)state;
    assert_int_equal(server_info_replication(
                         &found, "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:7\r\n"),
                     0);
    assert_int_equal(found.replicas, 0);
    assert_int_equal(found.offset, 7);
    assert_int_equal(found.best_replica, 0);
}

static void test_what_is_not_a_primary(void **state)
{
    struct server_info_replication found;
    (void)state;
    assert_int_equal(server_info_replication(
                         &found, "role:slave\r\nconnected_slaves:0\r\nmaster_repl_offset:7\r\n"),
                     -1);
    assert_int_equal(server_info_replication(&found, "role:master\r\nconnected_slaves:0\r\n"), -1);
    assert_int_equal(server_info_replication(&found, ""), -1);
}

static void test_durability(void **state)
{
    bool yes = false;
    (void)state;
    assert_int_equal(server_info_aof(&yes, "# Persistence\r\naof_enabled:1\r\n"), 0);
    assert_true(yes);
    assert_int_equal(server_info_aof(&yes, "x_aof_enabled:1\r\naof_enabled:0"), 0);
    assert_false(yes);
    assert_int_equal(server_info_aof(&yes, "loading:0\r\n"), -1);
    assert_int_equal(server_info_noeviction(&yes, "maxmemory_policy:noeviction\r\n"), 0);
    assert_true(yes);
    assert_int_equal(server_info_noeviction(&yes, "maxmemory_policy:allkeys-lru\r\n"), 0);
    assert_false(yes);
    assert_int_equal(server_info_noeviction(&yes, "maxmemory:0\r\n"), -1);
}

static void test_versions(void **state)
{
    struct server_info_version found;
    (void)state;
    assert_int_equal(server_info_version(&found, "# Server\r\nredis_version:7.0.15\r\n"), 0);
    assert_false(found.valkey);
    assert_string_equal(found.text, "7.0.15");
    assert_int_equal(found.redis_major, 7);
    assert_int_equal(
        server_info_version(
            &found, "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n"),
        0);
    assert_true(found.valkey);
    assert_string_equal(found.text, "8.1.1");
    assert_int_equal(found.redis_major, 7);
    assert_int_equal(server_info_version(&found, "role:master\r\n"), -1);
}

static void test_memory(void **state)
{
    struct server_info_memory found;
    (void)state;
    assert_int_equal(server_info_memory(&found, "used_memory:12\r\nused_memory_human:1M\r\n"
                                                "total_system_memory:99\r\nmaxmemory:50\r\n"),
                     0);
    assert_int_equal(found.used_bytes, 12);
    assert_int_equal(found.max_bytes, 50);
    assert_int_equal(found.machine_bytes, 99);
    assert_int_equal(server_info_memory(&found, "used_memory:12\r\n"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_best_online_replica_counts),
        cmocka_unit_test(test_a_primary_without_replicas),
        cmocka_unit_test(test_what_is_not_a_primary),
        cmocka_unit_test(test_durability),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
