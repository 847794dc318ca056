/* Whether any part of the edge is away, and why (INTERFACES.md 2.6): one sentence a part. Pure:
 * time and states come in; one thread. */
#ifndef TALLY_FEED_HEALTH_H
#define TALLY_FEED_HEALTH_H

#include "collector_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_COLLECTOR_MAX_AGE_MS 5000                           /* INTERFACES.md 2.4 */
#define HEALTH_WHY_MAX_BYTES COLLECTOR_STATUS_REASON_MAX_BYTES     /* of one part's sentence */
#define HEALTH_JSON_MAX_BYTES (4 * 6 * HEALTH_WHY_MAX_BYTES + 256) /* four parts, all escaped */

struct health {
    bool heard; /* of the collector, since the broker connection began */
    uint64_t heard_ms;
    struct collector_status collector;
    bool ok;
    char json[HEALTH_JSON_MAX_BYTES]; /* the last result */
};

/* Nothing is known yet: every part is away. */
void health_init(struct health *health);

/* ops/collector said this now. Anything that is not a status counts as offline. */
void health_collector(struct health *health, const char *payload, size_t bytes, uint64_t now_ms);

/* The connection that delivered the collector's status is gone. */
void health_forget_collector(struct health *health);

/* Judges health. `redis` and `broker` give the reason why each is away, and `probe` why
 * the probe fails, in HEALTH_WHY_MAX_BYTES at most, or "". Returns whether the answer differs from
 * the last one. */
bool health_check(struct health *health, const char *redis, const char *broker, const char *probe,
                  uint64_t now_ms);

/* The last word: the feed ends. */
void health_offline(struct health *health);

/* Whether the collector's status is there and fresh. */
bool health_collector_fresh(const struct health *health, uint64_t now_ms);

#endif
