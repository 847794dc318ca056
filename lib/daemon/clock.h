/* The daemons' clocks. The cores take time as an argument. Any thread. */
#ifndef TALLY_DAEMON_CLOCK_H
#define TALLY_DAEMON_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ns(void); /* as clock_monotonic_ms */
uint64_t clock_monotonic_ms(void); /* since an arbitrary moment; never goes back */
uint64_t clock_unix_ms(void);      /* since 1970 */
uint64_t clock_unix_us(void);

#endif
