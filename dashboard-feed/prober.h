/* Runs the probe (probe.h) against the broker, as a reader would: each time it connects,
 * subscribes, publishes one reaction at QoS 1, waits for receipt and total, and disconnects. On
 * libevent; loop thread only. */
#ifndef TALLY_FEED_PROBER_H
#define TALLY_FEED_PROBER_H

#include "probe.h"
#include "publish.h"
#include "store_link.h"

#include <event2/event.h>
#include <stdint.h>

struct prober;

/* Probes the broker that `broker` names, as that user, each `interval_ms`; 0: never. Its strings
 * are copied. `link` knows the store's kinds; ops/probe goes out through `publish`. Both outlive
 * the prober. NULL on no memory. Nothing happens before prober_edge. */
struct prober *prober_new(struct event_base *base, const struct publish_config *broker,
                          uint64_t interval_ms, struct store_link *link, struct publish *publish);
void prober_free(struct prober *prober); /* NULL is fine */

/* This edge's id, 16 hex digits, which names its article; "": not known, and nothing changes. */
void prober_edge(struct prober *prober, const char *edge);

/* The broker's new secret. Returns 0, or -1 on no memory. */
int prober_set_password(struct prober *prober, const char *password);

/* No more probes: the feed ends. */
void prober_stop(struct prober *prober);

/* probe_why; "" where there are no probes. */
const char *prober_why(const struct prober *prober);

/* What the probes have shown: nothing where there are none. */
const struct probe *prober_probe(const struct prober *prober);

#endif
