#include "unit.h"

#include "doctor_said.h"

#include "doctor_redis.h"

#define GIB ((uint64_t)1 << 30)

static void memory(uint64_t used, uint64_t max, uint64_t machine)
{
    struct doctor_report *report = said_begin();
    const struct server_info_memory of = {used, max, machine};
    doctor_redis_memory(report, "h:1", &of);
    said_end(report);
}

static void test_memory(void **state)
{
    (void)state;
    memory(GIB, 2 * GIB, 8 * GIB);
    SAID("ok    redis      h:1: memory: 1024 MiB used of 2048 MiB, maxmemory");
    memory(19 * GIB / 10, 2 * GIB, 8 * GIB);
    SAID("warn ");
    memory(2 * GIB, 2 * GIB, 8 * GIB);
    SAID("FAIL  redis      h:1: memory: 2048 MiB used of 2048 MiB, maxmemory: it is full");
    memory(7 * GIB, 0, 8 * GIB);
    SAID("warn  redis      h:1: memory: 7168 MiB used of 8192 MiB, the machine's memory");
    memory(9 * GIB, 0, 8 * GIB); /* swapped */
    SAID("warn ");
    memory(GIB, 0, 0);
    SAID("ok ");
}

static void test_version(void **state)
{
    struct server_info_version version = {.text = "6.2.1", .redis_major = 6};
    (void)state;
    struct doctor_report *report = said_begin();
    doctor_redis_version(report, "h:1", &version);
    said_end(report);
    SAID("FAIL  redis      h:1: Redis 6.2.1: Tally needs 7.0");
    version = (struct server_info_version){.valkey = true, .text = "8.1.1", .redis_major = 7};
    report = said_begin();
    doctor_redis_version(report, "h:1", &version);
    said_end(report);
    SAID("ok    redis      h:1: Valkey 8.1.1");
}

static void fsync_of(const char *value, const char *durability)
{
    struct doctor_report *report = said_begin();
    doctor_redis_fsync(report, "h:1", value, durability);
    said_end(report);
}

static void test_fsync(void **state)
{
    (void)state;
    fsync_of("everysec", "aof");
    SAID("ok    redis      h:1: appendfsync everysec");
    fsync_of("always", "replicas");
    SAID("ok ");
    fsync_of("no", "aof");
    SAID("FAIL  redis      h:1: appendfsync no: a power cut");
    fsync_of("no", "replicas");
    SAID("warn ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_fsync),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(said);
    return failed;
}
