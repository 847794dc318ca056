/* Reads CLOCK_MONOTONIC and CLOCK_REALTIME. */
#include "daemon/clock.h"

#include <time.h>

static uint64_t us_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return us_of(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_unix_ms(void)
{
    return us_of(CLOCK_REALTIME) / 1000;
}

uint64_t clock_unix_us(void)
{
    return us_of(CLOCK_REALTIME);
}
