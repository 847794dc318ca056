/* Writes the metrics group by group. */
#include "watch_metrics.h"

#include "daemon/exposition.h"

#include <inttypes.h>

static void write_state(struct evbuffer *out, const struct watch_metrics *in)
{
    const struct status *status = in->status;
    exposition_head(out, "tally_edge_info", EXPOSITION_GAUGE,
                    "1; its labels say which edge, store and topic prefix.");
    evbuffer_add_printf(out,
                        "tally_edge_info{edge=\"%016" PRIx64 "\",store=\"%016" PRIx64
                        "\",topic_prefix=\"%s\"} 1\n",
                        status->edge, status->store, in->topic_prefix);
    exposition_gauge(out, "tally_collector_ready", status->ready,
                     "1 while the collector can apply reactions, as its /readyz.");
    exposition_gauge(out, "tally_collector_redis_up", status->redis,
                     "1 while the collector is connected to every server of the store.");
    exposition_gauge(out, "tally_collector_redis_shards_away", status->redis_away,
                     "Shards whose server is away.");
    exposition_gauge(out, "tally_collector_clock_skew_seconds",
                     (double)status->clock_skew_ms / 1000,
                     "The clock of Redis minus the edge's, of the server that differs most.");
}

static void write_admission(struct evbuffer *out, const struct status *in)
{
    uint64_t records = 0, bytes = 0;
    for (unsigned i = 0; i < in->shards; i++) {
        records += in->shard[i].waiting;
        bytes += in->shard[i].backlog_bytes;
    }
    exposition_gauge(out, "tally_spool_producer", in->producer,
                     "1 while the broker's plugin has the spool.");
    if (in->edge == 0)
        return; /* not open yet: 0 would look like a spool that was made again */
    exposition_counter(out, "tally_admitted_reactions_total", in->admitted,
                       "Reactions admitted since the spool was made.");
    exposition_head(out, "tally_refused_reactions_total", EXPOSITION_COUNTER,
                    "Reactions refused since the spool was made, by reason.");
    for (int reason = 0; reason < REASON_COUNT; reason++)
        evbuffer_add_printf(out, "tally_refused_reactions_total{reason=\"%s\"} %" PRIu64 "\n",
                            reason_name(reason), in->refused[reason]);
    exposition_counter(out, "tally_dropped_refusal_receipts_total", in->refusal_receipts_dropped,
                       "Receipts of refusals that were not sent because of their bound.");
    exposition_gauge(out, "tally_spool_records", (double)records,
                     "Reactions in the spool, not applied yet.");
    exposition_gauge(out, "tally_spool_bytes", (double)bytes, "Their bytes.");
}

static void write_applied(struct evbuffer *out, const struct status *in)
{
    const struct status_counts *counts = &in->counts;
    exposition_counter(out, "tally_collector_applied_total",
                       counts->added + counts->changed + counts->repeated + counts->superseded,
                       "Reactions applied since the collector started.");
    exposition_counter(out, "tally_collector_new_total", counts->added,
                       "Of these, the first of a reader on an article.");
    exposition_counter(out, "tally_collector_changed_total", counts->changed, "Of these, changes.");
    exposition_counter(out, "tally_collector_repeated_total", counts->repeated,
                       "Of these, repeats.");
    exposition_counter(out, "tally_collector_superseded_total", counts->superseded,
                       "Of these, reactions older than the register's.");
    exposition_counter(out, "tally_collector_quarantined_total", counts->quarantined,
                       "Records that could not be applied.");
    exposition_counter(out, "tally_collector_lost_total", counts->lost,
                       "Reactions that Redis lost and the spool held no longer.");
    exposition_counter(out, "tally_collector_damaged_total", counts->damaged,
                       "Damaged records found in rings.");
    exposition_counter(out, "tally_collector_batches_total", counts->batches, "Batches applied.");
    exposition_counter(out, "tally_collector_receipts_total", in->receipts, "Receipts published.");
    exposition_counter(out, "tally_collector_dropped_receipts_total", in->receipts_dropped,
                       "Receipts that were not sent because the broker accepted nothing.");
    exposition_counter(out, "tally_collector_wakeups_total", counts->wakeups,
                       "Times that the plugin woke the collector.");
    exposition_counter(out, "tally_collector_redis_reconnects_total", in->redis_reconnects,
                       "Connections of the collector to Redis that were lost.");
    exposition_counter(out, "tally_audit_articles_total", in->audited,
                       "Articles whose registers the collector counted again.");
    exposition_counter(out, "tally_audit_differing_total", in->audit_differing,
                       "Of these, those whose totals in Redis differ.");
    exposition_counter(out, "tally_audit_skipped_total", in->audit_skipped,
                       "Articles that changed too fast for the collector to count them.");
}

static void write_timings(struct evbuffer *out, const struct timings *in)
{
    exposition_histogram(out, "tally_collector_batch_reactions", &in->batch_reactions,
                         "Reactions in an applied batch.");
    exposition_histogram(out, "tally_collector_redis_call_seconds", &in->call_s,
                         "From a batch that was sent to the answer of Redis.");
    exposition_histogram(out, "tally_collector_counted_seconds", &in->counted_s,
                         "From a reaction's stamp until Redis has counted it.");
}

static void write_shards(struct evbuffer *out, const struct status *in)
{
    exposition_head(out, "tally_shard_backlog_bytes", EXPOSITION_GAUGE,
                    "Bytes in a shard's rings that are not applied.");
    for (unsigned i = 0; i < in->shards; i++)
        evbuffer_add_printf(out, "tally_shard_backlog_bytes{shard=\"%u\"} %" PRIu64 "\n", i,
                            in->shard[i].backlog_bytes);
    exposition_head(out, "tally_shard_old_rings", EXPOSITION_GAUGE,
                    "Old rings of a shard that are being drained.");
    for (unsigned i = 0; i < in->shards; i++)
        evbuffer_add_printf(out, "tally_shard_old_rings{shard=\"%u\"} %u\n", i,
                            in->shard[i].old_rings);
    exposition_head(out, "tally_shard_held", EXPOSITION_GAUGE,
                    "1 while a shard is held and nothing of it is applied.");
    for (unsigned i = 0; i < in->shards; i++)
        evbuffer_add_printf(out, "tally_shard_held{shard=\"%u\"} %d\n", i,
                            in->shard[i].held[0] != '\0');
}

void watch_metrics_write(struct evbuffer *out, const struct watch_metrics *in)
{
    exposition_process(out, "tally-collector", in->started_at_s);
    write_state(out, in);
    write_admission(out, in->status);
    write_applied(out, in->status);
    write_timings(out, in->timings);
    write_shards(out, in->status);
}
