/* Subscribers to one article's totals, each with its own connection, and the operations on them:
 * totals published, or reactions whose way into a total is timed. One thread, one epoll. */
#ifndef TALLY_BENCH_AUDIENCE_H
#define TALLY_BENCH_AUDIENCE_H

#include "core/error.h"
#include "crowd_settings.h"
#include "latency.h"

#include <signal.h>
#include <stdint.h>

struct audience_counts {
    uint64_t subscribed, connections_lost;
    uint64_t deliveries, first_ns, last_ns; /* since the task began; of meter_now_ns */
    uint64_t strange;                       /* deliveries that are not totals */
    uint64_t backwards;                     /* of a lower version than the one before */
    uint64_t begun_ns, cpu_ns;              /* the task; this process's CPU time since */
    uint64_t sent, acknowledged, refused;   /* what the task publishes, and its PUBACKs */
    uint64_t done_ns;                       /* when the task was complete, 0 before */
    struct latency latency; /* of each probe and subscriber: from publish to a total with it */
};

/* What all subscribers have seen: the least and the greatest of their last totals. */
struct audience_span {
    uint64_t least_version, most_version, least_total, most_total;
};

struct audience;

/* Opens and subscribes all connections, at most as many at a time as a broker's backlog holds.
 * Looks at `stop` meanwhile. NULL with a sentence in `error`. Settings and `stop` must outlive it.
 */
struct audience *audience_new(const struct crowd_settings *settings,
                              const volatile sig_atomic_t *stop, struct error *error);
void audience_free(struct audience *audience);

/* Begins the settings' task; without one, it is complete at once. May be called again when it is
 * complete, but does nothing then where the task is probes: their readers have reacted. */
void audience_begin(struct audience *audience);

/* Reads the input and performs the task; waits `wait_ms` at most if nothing arrives. */
void audience_look(struct audience *audience, int wait_ms);

const struct audience_counts *audience_counts(const struct audience *audience);
struct audience_span audience_span(const struct audience *audience);

#endif
