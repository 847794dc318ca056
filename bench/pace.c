/* Computes from the clock how many messages are due, without drift. */
#include "pace.h"

#define SECOND_NS UINT64_C(1000000000)

uint64_t pace_due(uint64_t rate, uint64_t elapsed_ns)
{
    return elapsed_ns / SECOND_NS * rate + elapsed_ns % SECOND_NS * rate / SECOND_NS + 1;
}

uint64_t pace_wait_ns(uint64_t rate, uint64_t elapsed_ns, uint64_t sent)
{
    /* The first nanosecond at which pace_due is over `sent`. */
    uint64_t at = sent / rate * SECOND_NS + (sent % rate * SECOND_NS + rate - 1) / rate;
    return at > elapsed_ns ? at - elapsed_ns : 0;
}
