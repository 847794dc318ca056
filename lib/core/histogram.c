/* Each value is counted once, in its own interval. The cumulated counts that Prometheus reads are
 * summed up when they are asked for. */
#include "core/histogram.h"

#include <string.h>

void histogram_init(struct histogram *histogram, const double *bound, size_t n)
{
    memset(histogram, 0, sizeof *histogram);
    histogram->bound = bound;
    histogram->n = n < HISTOGRAM_BOUNDS_MAX ? n : HISTOGRAM_BOUNDS_MAX;
}

void histogram_add(struct histogram *histogram, double value)
{
    size_t i = 0;
    if (!(value > 0))
        value = 0;
    while (i < histogram->n && value > histogram->bound[i])
        i++;
    histogram->count[i]++;
    histogram->sum += value;
}

uint64_t histogram_up_to(const struct histogram *histogram, size_t i)
{
    uint64_t sum = 0;
    for (size_t at = 0; at <= i && at <= histogram->n; at++)
        sum += histogram->count[at];
    return sum;
}
