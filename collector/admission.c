/* The order is that of find_reason in serve.c: the first condition that fails is the one to mend.
 * One full ring refuses only its own articles, so an edge stays in until half of them are full. */
#include "admission.h"

#include <inttypes.h>
#include <stdio.h>

void admission_judge(const struct admission *edge, char *why, size_t why_bytes)
{
    why[0] = '\0';
    if (!edge->spool)
        snprintf(why, why_bytes, "spool: not open");
    else if (!edge->producer)
        snprintf(why, why_bytes, "broker: away, nobody writes the spool");
    else if (edge->clock_bad)
        snprintf(why, why_bytes, "clock: %" PRId64 " ms from Redis's", edge->clock_skew_ms);
    else if (!edge->joined)
        snprintf(why, why_bytes, "%s",
                 edge->store_why[0] != '\0' ? edge->store_why
                                            : "store: none has accepted this edge yet");
    else if (2 * edge->full >= edge->rings && edge->full > 0)
        snprintf(why, why_bytes, "spool: %u of %u rings are full", edge->full, edge->rings);
}
