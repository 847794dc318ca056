/* A histogram with steps that grow with the value, so percentiles cost no memory per sample. */
#include "latency.h"

#define STEP_BITS 4

/* Below 16 a bucket each; above, the power of two and the four bits behind its highest. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < LATENCY_STEPS)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    return (power - STEP_BITS + 1) * LATENCY_STEPS +
           (unsigned)(ns >> (power - STEP_BITS) & (LATENCY_STEPS - 1));
}

static uint64_t upper_end(unsigned bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket;
    unsigned shift = bucket / LATENCY_STEPS - 1;
    uint64_t step = LATENCY_STEPS + bucket % LATENCY_STEPS;
    return (step << shift) + ((UINT64_C(1) << shift) - 1);
}

void latency_add(struct latency *latency, uint64_t ns)
{
    latency->n++;
    latency->bucket[bucket_of(ns)]++;
}

uint64_t latency_quantile(const struct latency *latency, double quantile)
{
    uint64_t below = 0, wanted = (uint64_t)(quantile * (double)latency->n);
    if (latency->n == 0)
        return 0;
    if (wanted >= latency->n)
        wanted = latency->n - 1;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        below += latency->bucket[i];
        if (below > wanted)
            return upper_end(i);
    }
    return 0;
}
