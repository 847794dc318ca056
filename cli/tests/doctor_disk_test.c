#include "unit.h"

#include "doctor_said.h"

#include "doctor_disk.h"

#define MIB ((uint64_t)1 << 20)

static void judge(uint64_t free_mib, uint64_t shards, uint64_t ring_mib, uint64_t taken_mib)
{
    struct doctor_report *report = said_begin();
    doctor_disk_judge(report, "/s", free_mib * MIB, shards, ring_mib * MIB, taken_mib * MIB);
    said_end(report);
}

static void test_room(void **state)
{
    (void)state;
    judge(288, 8, 32, 0);
    SAID("ok    disk       /s: 288 MiB free; 8 rings of 32 MiB, 256 MiB of them not yet allocated");
    judge(287, 8, 32, 0);
    SAID("warn ");
    judge(256, 8, 32, 0);
    SAID("warn ");
    judge(255, 8, 32, 0);
    SAID("FAIL  disk       /s: 255 MiB free");
    judge(256, 8, 32, 32);
    SAID("ok ");
    judge(0, 8, 32, 300);
    SAID("warn ");
    judge(32, 8, 32, 256);
    SAID("ok ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_room)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(said);
    return failed;
}
