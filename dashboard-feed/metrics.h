/* The feed's metrics as Prometheus text: its own, and what the broker's plugin says in
 * ops/refusals. The collector serves its own and the spool's. DESIGN lists every name; a test
 * compares the two. Loop thread only. */
#ifndef TALLY_FEED_METRICS_H
#define TALLY_FEED_METRICS_H

#include "collector_status.h"
#include "creation.h"
#include "http.h"
#include "probe.h"
#include "publish.h"
#include "publisher.h"
#include "state_sync.h"
#include "store_link.h"

#include <event2/buffer.h>
#include <stdbool.h>

struct metrics {
    double started_at_s; /* since 1970 */
    const char *topic_prefix;
    bool healthy;
    uint32_t shards_away; /* store_link_shards_away */
    bool redis_up;
    bool broker_up;
    struct store_link_stats store_link;
    struct publish_stats publish;
    struct publisher_stats publisher;
    struct state_sync_stats state_sync;
    struct http_stats http;
    const struct probe *probe;
    struct creation creation;                 /* not heard: its metrics are left out */
    const struct collector_status *collector; /* NULL: away */
};

void metrics_write(struct evbuffer *out, const struct metrics *in);

#endif
