/* Counts values by fixed upper bounds, as a histogram of Prometheus does. Needs no memory besides
 * the struct. Pure; one thread. */
#ifndef TALLY_CORE_HISTOGRAM_H
#define TALLY_CORE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS_MAX 16

struct histogram {
    const double *bound; /* rising; the caller's */
    size_t n;
    uint64_t count[HISTOGRAM_BOUNDS_MAX + 1]; /* values up to bound[i] and above the one before it;
                                                 the last: above all */
    double sum;
};

/* Empties the histogram. `bound` has `n` rising bounds, HISTOGRAM_BOUNDS_MAX at most (further ones
 * are left out), and outlives it. */
void histogram_init(struct histogram *histogram, const double *bound, size_t n);

/* A value below 0, as a clock that was set back makes it, counts as 0; so does what is not a
 * number. */
void histogram_add(struct histogram *histogram, double value);

/* How many values are at most bound[i]; with i = n, how many there are. */
uint64_t histogram_up_to(const struct histogram *histogram, size_t i);

#endif
