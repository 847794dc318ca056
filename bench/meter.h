/* Clocks and costs that the programs of the bench measure. Any thread. */
#ifndef TALLY_BENCH_METER_H
#define TALLY_BENCH_METER_H

#include <stdint.h>

uint64_t meter_now_ns(void); /* CLOCK_MONOTONIC, which all processes of a machine share */
uint64_t meter_cpu_ns(void); /* CPU time of this process, user and system */

/* What a system call that does nothing costs here, in ns: getppid, the least of several rounds. */
uint64_t meter_system_call_ns(void);

#endif
