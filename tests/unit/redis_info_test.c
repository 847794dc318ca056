#include "unit.h"

#include "redis/redis_info.h"

static void test_fields(void **state)
{
    (void)state;
    static const char text[] = "# Persistence\r\naof_enabled:0\r\nxaof:7\r\naof_size:12\r\n";
    assert_true(redis_info_is(text, "aof_enabled", "0"));
    assert_false(redis_info_is(text, "aof_enabled", "1"));
    assert_false(redis_info_is(text, "aof_size", "1"));
    assert_false(redis_info_is(text, "aof", "7")); /* another field ends so */
    assert_int_equal(redis_info_number(text, "aof_size"), 12);
    assert_int_equal(redis_info_number(text, "size"), 0);
    assert_int_equal(redis_info_number("", "size"), 0);
}

static void test_memory(void **state)
{
    (void)state;
    struct redis_info_memory memory;
    static const struct {
        const char *text;
        bool evicts, full;
    } rows[] = {
        {"# Memory\r\nused_memory:90\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n", false,
         false},
        {"# Memory\r\nused_memory:90\r\nmaxmemory:90\r\nmaxmemory_policy:noeviction\r\n", false,
         false},
        {"# Memory\r\nused_memory:91\r\nmaxmemory:90\r\nmaxmemory_policy:noeviction\r\n", false,
         true},
        {"# Memory\r\nused_memory:91\r\nmaxmemory:90\r\nmem_not_counted_for_evict:1\r\n"
         "maxmemory_policy:noeviction\r\n",
         false, false},
        {"# Memory\r\nused_memory:91\r\nmaxmemory:90\r\nmaxmemory_policy:allkeys-lru\r\n", true,
         false},
        {"# Memory\r\nused_memory:91\r\n", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        redis_info_read_memory(rows[i].text, &memory);
        require(memory.evicts == rows[i].evicts && memory.full == rows[i].full, "row %zu", i);
    }
}

static void test_replication(void **state)
{
    (void)state;
    struct redis_info_replication found;
    redis_info_read_replication(
        "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
        "min_slaves_good_slaves:1\r\n"
        "slave0:ip=10.0.0.2,port=6379,state=online,offset=420,lag=1\r\n"
        "slave1:ip=10.0.0.3,port=6379,state=wait_bgsave,offset=900,lag=0\r\n"
        "slave2:ip=::1,port=6379,state=online,offset=500,lag=0,type=main\r\n"
        "master_replid:00ff\r\nmaster_repl_offset:901\r\n",
        &found);
    assert_true(found.guarded);
    assert_int_equal(found.connected, 3);
    assert_int_equal(found.replicas, 2);
    assert_int_equal(found.replica, 500);
    assert_int_equal(found.offset, 901);
    redis_info_read_replication("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
                                "master_repl_offset:901\r\n",
                                &found);
    assert_false(found.guarded);
    assert_true(found.replicas == 0 && found.replica == 0 && found.offset == 901);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_replication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
