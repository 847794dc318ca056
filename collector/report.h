/* What ops/collector says about the spool, Redis and the rings (INTERFACES.md 2.4): whether this
 * edge is ready, which condition fails first, and whether a balancer should send readers here.
 * Reads the parts and changes none. One thread. */
#ifndef TALLY_COLLECTOR_REPORT_H
#define TALLY_COLLECTOR_REPORT_H

#include "rings.h"
#include "session.h"
#include "status.h"

#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

/* The parts, and other facts. */
struct report {
    struct spool *spool; /* NULL: not open, `spool_why` */
    const struct session *session;
    const struct rings *rings;
    const char *spool_why;
    int64_t clock_skew_ms;
    bool clock_bad;      /* as the plugin sees it */
    unsigned clocks_off; /* servers whose clock is not ours */
    bool joined;         /* a store has accepted this edge, now or before */
    bool ready;          /* as last reported */
};

/* How many of the spool's shards may be applied to. */
unsigned report_shards_ready(const struct report *report);

/* The first missing condition, or "". */
void report_reason(const struct report *report, char reason[STATUS_REASON_BYTES]);

/* Fills in what these parts know. */
void report_fill(const struct report *report, struct status *status);

#endif
