/* Conditions are in the order in which an operator must fix them. */
#include "report.h"

#include "admission.h"

#include "core/error.h"
#include "spool/spool_consumer.h"

#include <inttypes.h>
#include <stdio.h>

static unsigned shards_of(const struct report *report)
{
    return report->spool != NULL ? spool_shards(report->spool) : 0;
}

unsigned report_shards_ready(const struct report *report)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < shards_of(report); i++)
        ready += session_ready(report->session, i);
    return ready;
}

void report_reason(const struct report *report, char reason[STATUS_REASON_BYTES])
{
    reason[0] = '\0';
    if (report->spool == NULL)
        snprintf(reason, STATUS_REASON_BYTES, "%s",
                 report->spool_why[0] != '\0' ? report->spool_why : "spool: not open yet");
    else if (!spool_consumer_has_producer(report->spool))
        snprintf(reason, STATUS_REASON_BYTES, "broker: away, nobody writes the spool");
    else if (session_why(report->session)[0] != '\0')
        snprintf(reason, STATUS_REASON_BYTES, "%s", session_why(report->session));
    else
        session_reason(report->session, shards_of(report), reason);
    if (reason[0] == '\0' && (report->clock_bad || report->clocks_off > 0))
        snprintf(reason, STATUS_REASON_BYTES, "clock: %" PRId64 " ms from that of Redis at %s",
                 report->clock_skew_ms, session_clock_node(report->session));
    if (reason[0] == '\0')
        rings_reason(report->rings, reason, STATUS_REASON_BYTES);
    /* A repeated look under way is not a reason; a first one is, because it has not succeeded yet.
     */
    if (reason[0] == '\0' && !report->ready && report_shards_ready(report) < shards_of(report))
        snprintf(reason, STATUS_REASON_BYTES, "redis: being looked at");
}

/* For the load balancer. */
static void find_refusal(const struct report *report, char why[STATUS_REASON_BYTES])
{
    struct store_rings rings;
    rings_describe(report->rings, &rings);
    struct admission edge = {
        .spool = report->spool != NULL,
        .producer = report->spool != NULL && spool_consumer_has_producer(report->spool),
        .clock_bad = report->clock_bad,
        .clock_skew_ms = report->clock_skew_ms,
        .joined = report->joined || rings.applied != 0,
        .store_why = session_why(report->session),
    };
    rings_count_full(report->rings, ADMISSION_ROOM_BYTES, &edge.rings, &edge.full);
    struct error refusal;
    admission_judge(&edge, &refusal);
    error_copy(&refusal, why, STATUS_REASON_BYTES);
}

void report_fill(const struct report *report, struct status *status)
{
    status->ready = report->ready;
    find_refusal(report, status->refuses);
    status->redis = session_up(report->session, shards_of(report));
    status->redis_away = session_away(report->session, shards_of(report));
    status->redis_reconnects = session_reconnects(report->session);
    if (report_shards_ready(report) > 0)
        status->store = session_store(report->session)->id;
    status->clock_skew_ms = report->clock_skew_ms;
    if (report->spool == NULL)
        return;
    status->producer = spool_consumer_has_producer(report->spool);
    status->edge = spool_id(report->spool);
    status->admitted = spool_admitted(report->spool);
    for (int i = 0; i < REASON_COUNT; i++)
        status->refused[i] = spool_refused(report->spool, (enum reason)i);
    status->refusal_receipts_dropped = spool_receipts_dropped(report->spool);
    rings_fill_status(report->rings, status);
}
