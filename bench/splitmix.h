/* Random numbers that a seed repeats: splitmix64, by Sebastiano Vigna. Pure. */
#ifndef TALLY_BENCH_SPLITMIX_H
#define TALLY_BENCH_SPLITMIX_H

#include <stdint.h>

uint64_t splitmix_next(uint64_t *state);

#endif
