/* ops/collector (INTERFACES.md 2.4). Pure; any thread. */
#ifndef TALLY_COLLECTOR_STATUS_H
#define TALLY_COLLECTOR_STATUS_H

#include "apply.h"
#include "core/reason.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_REASON_BYTES 256
#define STATUS_OFFLINE "{\"online\":false}"
#define STATUS_FULL                                                                                \
    "redis: full: its memory has reached maxmemory, and it takes no reactions; raise maxmemory"

/* Counted since the start. */
struct status_counts {
    uint64_t added, changed, repeated, superseded; /* together: applied */
    uint64_t quarantined, lost, damaged, batches, wakeups;
};

struct status_shard {
    uint64_t waiting, backlog_bytes;
    unsigned old_rings;
    char held[APPLY_HELD_BYTES];
};

struct status {
    bool ready, producer, redis;
    char reason[STATUS_REASON_BYTES];
    char refuses[STATUS_REASON_BYTES]; /* why readers should go elsewhere (admission.h), or "" */
    uint64_t at_ms;                    /* since 1970 */
    uint64_t edge;
    uint64_t store; /* the accepted one, 0 none */
    int64_t clock_skew_ms;
    uint64_t admitted, refused[REASON_COUNT], refusal_receipts_dropped;
    struct status_counts counts;
    uint64_t receipts, receipts_dropped, redis_reconnects;
    unsigned redis_away;                              /* shards whose server is away */
    uint64_t audited, audit_differing, audit_skipped; /* articles */
    unsigned shards;
    struct status_shard shard[SPOOL_SHARDS_MAX];
};

/* As JSON, to be freed by the caller; NULL on no memory. */
char *status_write(const struct status *status);

#endif
