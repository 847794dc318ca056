/* What the collector says in ops/collector (INTERFACES.md 2.4) about itself and the broker plugin.
 * Pure; one thread. */
#ifndef TALLY_FEED_COLLECTOR_STATUS_H
#define TALLY_FEED_COLLECTOR_STATUS_H

#include "core/reason.h"
#include "cover.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECTOR_STATUS_REASON_MAX_BYTES 511

struct collector_shard {
    uint32_t shard;
    uint64_t backlog_bytes;
    uint64_t old_rings;
    bool held;
};

/* Numbers are doubles, as JSON's are. */
struct collector_status {
    bool online; /* false: nothing below is set */
    bool ready;
    bool producer;                                      /* the broker has the spool */
    char reason[COLLECTOR_STATUS_REASON_MAX_BYTES + 1]; /* a longer one ends between two words, … */
    /* Why readers should go to another edge, or ""; cut like the reason. */
    char refuses[COLLECTOR_STATUS_REASON_MAX_BYTES + 1];
    char edge[17];  /* 16 hex digits, or "" */
    char store[17]; /* that the collector is ready with: 16 hex digits, or "" */
    double clock_skew_ms;
    double admitted;
    double refusal_receipts_dropped;
    double refused[REASON_COUNT];
    double applied, fresh, changed, repeated, superseded, quarantined, lost,
        damaged; /* fresh: "new" */
    double in_spool, in_spool_bytes;
    double batches, receipts, receipts_dropped, wakeups, redis_reconnects;
    double audited, audit_differing, audit_skipped;
    uint32_t n;
    struct collector_shard shard[COVER_MAX_SHARDS];
};

/* Parses a status. A missing member counts as 0, "" or false, so that older and newer collectors
 * are understood. Returns 0, or -1 if it is not a JSON object. */
int collector_status_parse(struct collector_status *status, const char *json, size_t bytes);

#endif
