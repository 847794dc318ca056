/* Reads clocks and the processor time of this process. */
#include "meter.h"

#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define CALLS 4000

static uint64_t read_ns(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

uint64_t meter_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t meter_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t meter_system_call_ns(void)
{
    uint64_t least = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begun = meter_now_ns();
        for (int i = 0; i < CALLS; i++)
            (void)getppid();
        uint64_t each = (meter_now_ns() - begun) / CALLS;
        least = each < least ? each : least;
    }
    return least;
}
