/* What an operator's tools ask the collector over HTTP: /livez, /readyz and /metrics (INTERFACES.md
 * 6.1). It does not need the broker, the feed or Redis. Loop thread only. */
#ifndef TALLY_COLLECTOR_WATCH_H
#define TALLY_COLLECTOR_WATCH_H

#include "collector_settings.h"
#include "status.h"
#include "timings.h"

#include "core/error.h"

#include <event2/event.h>

struct watch;

struct watch_config {
    const struct collector_settings *settings; /* metrics_address, metrics_port, topic_prefix */
    const struct timings *timings;
    /* Fills in all of `out`. */
    void (*status)(void *user, struct status *out);
    void *user;
};

/* Listens, unless metrics_port is 0. Settings and timings must outlive it. NULL with a sentence in
 * `error`. */
struct watch *watch_new(struct event_base *base, const struct watch_config *config,
                        struct error *error);
void watch_free(struct watch *watch); /* NULL is fine */

#endif
