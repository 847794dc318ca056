/* The order is that of report_reason: the first condition that fails is the one to fix.
 * One full ring refuses only its own articles, so an edge stays in until half of them are full. */
#include "admission.h"

#include <inttypes.h>

void admission_judge(const struct admission *edge, struct error *why)
{
    why->text[0] = '\0';
    if (!edge->spool)
        error_set(why, "spool: not open");
    else if (!edge->producer)
        error_set(why, "broker: away, nobody writes the spool");
    else if (edge->clock_bad)
        error_set(why, "clock: %" PRId64 " ms from Redis's", edge->clock_skew_ms);
    else if (!edge->joined)
        error_set(why, "%s",
                  edge->store_why[0] != '\0' ? edge->store_why
                                             : "store: none has accepted this edge yet");
    else if (2 * edge->full >= edge->rings && edge->full > 0)
        error_set(why, "spool: %u of %u rings are full", edge->full, edge->rings);
}
