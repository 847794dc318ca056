/* The collector's metrics, and those of the plugin's spool, as Prometheus text. DESIGN lists every
 * name; a test compares the two. Loop thread only. */
#ifndef TALLY_COLLECTOR_WATCH_METRICS_H
#define TALLY_COLLECTOR_WATCH_METRICS_H

#include "status.h"
#include "timings.h"

#include <event2/buffer.h>

struct watch_metrics {
    double started_at_s; /* since 1970 */
    const char *topic_prefix;
    const struct status *status;
    const struct timings *timings;
};

void watch_metrics_write(struct evbuffer *out, const struct watch_metrics *in);

#endif
