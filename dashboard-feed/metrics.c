/* Writes the metrics group by group. The helpers at the top know the text format. */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum type { COUNTER, GAUGE, SUMMARY };

static void head(struct evbuffer *out, const char *name, enum type type, const char *help)
{
    static const char *const word[] = {"counter", "gauge", "summary"};
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, word[type]);
}

/* A metric without labels. 17 digits hold every double, and whole numbers stay whole. */
static void one(struct evbuffer *out, const char *name, enum type type, double value,
                const char *help)
{
    head(out, name, type, help);
    evbuffer_add_printf(out, "%s %.17g\n", name, value);
}

static void counter(struct evbuffer *out, const char *name, uint64_t value, const char *help)
{
    head(out, name, COUNTER, help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void gauge(struct evbuffer *out, const char *name, double value, const char *help)
{
    one(out, name, GAUGE, value, help);
}

static void write_process(struct evbuffer *out, const struct metrics *in)
{
    gauge(out, "tally_healthy", in->healthy, "1 while no part of the edge is away, as /healthz.");
    head(out, "tally_build_info", GAUGE, "1; its labels say which program and version this is.");
    evbuffer_add_printf(out, "tally_build_info{program=\"tally-feed\",version=\"%s\"} 1\n",
                        TALLY_VERSION);
    head(out, "tally_edge_info", GAUGE, "1; its labels say which edge, store and topic prefix.");
    evbuffer_add_printf(out, "tally_edge_info{edge=\"%s\",store=\"%s\",topic_prefix=\"%s\"} 1\n",
                        in->collector != NULL ? in->collector->edge : "",
                        in->collector != NULL ? in->collector->store : "", in->topic_prefix);
    gauge(out, "tally_feed_start_time_seconds", in->started_at_s,
          "When the feed started, since 1970.");
    one(out, "tally_feed_cpu_seconds_total", COUNTER, in->cpu_s,
        "Processor time of the feed, user and system.");
    gauge(out, "tally_feed_resident_bytes", in->resident_bytes, "Memory of the feed.");
}

static void write_links(struct evbuffer *out, const struct metrics *in)
{
    const struct store_link_stats *link = &in->store_link;
    gauge(out, "tally_feed_redis_up", in->redis_up,
          "1 while the feed follows the store in Redis with all of its shards.");
    gauge(out, "tally_feed_redis_shards_away", in->shards_away,
          "Shards of the store that is followed that cannot be read.");
    counter(out, "tally_feed_redis_lost_total", link->reconnects,
            "Connections to Redis that were lost.");
    counter(out, "tally_feed_redis_timeouts_total", link->timeouts,
            "Connections to Redis dropped because no reply came in time.");
    counter(out, "tally_feed_redis_ranges_total", link->ranges, "Requests for changed articles.");
    counter(out, "tally_feed_redis_lookups_total", link->lookups,
            "Requests for totals, of up to 256 articles each.");
    counter(out, "tally_feed_redis_hints_total", link->hints, "Hints that something changed.");
    counter(out, "tally_feed_redis_damaged_total", link->bad,
            "Heads, bases, states and changed articles of an unknown format.");
    gauge(out, "tally_feed_broker_up", in->broker_up,
          "1 while the feed is connected to the broker.");
    counter(out, "tally_feed_broker_connects_total", in->publish.connects,
            "Connections to the broker.");
}

static void write_totals(struct evbuffer *out, const struct metrics *in)
{
    const struct publisher_stats *publisher = &in->publisher;
    counter(out, "tally_feed_changed_totals_total", publisher->changed,
            "Totals published because they had changed.");
    counter(out, "tally_feed_repeated_totals_total", publisher->repeated,
            "Totals published once more, some time after their last change.");
    counter(out, "tally_feed_republished_totals_total", publisher->republished,
            "Totals published again because the broker may have lacked them.");
    counter(out, "tally_feed_outdated_totals_total", publisher->outdated,
            "Totals not published, as a higher version was before.");
    counter(out, "tally_feed_touched_totals_total", publisher->touched,
            "Totals given a newer version in Redis, as a higher one was published before.");
    gauge(out, "tally_feed_stale_articles", (double)publisher->conflate.stale,
          "Articles whose version in Redis is below what was published.");
    gauge(out, "tally_feed_comparing", publisher->comparing ? 1 : 0,
          "1 while not all that was published is known to be in Redis.");
    counter(out, "tally_feed_failed_totals_total", in->publish.failures,
            "Totals that could not be handed to the connection; they are tried again.");
    counter(out, "tally_feed_totals_bytes_total", in->publish.bytes, "Bytes of totals published.");
    head(out, "tally_feed_delay_seconds", SUMMARY,
         "From an article's change in Redis to its publication.");
    evbuffer_add_printf(out,
                        "tally_feed_delay_seconds_sum %.6f\n"
                        "tally_feed_delay_seconds_count %" PRIu64 "\n",
                        (double)publisher->delay_us / 1e6, publisher->delays);
    counter(out, "tally_feed_held_back_total", publisher->held_back,
            "Times that publishing waited because the broker accepted nothing.");
    counter(out, "tally_feed_over_rate_total", publisher->over_rate,
            "Times that totals waited because publish_rate was reached.");
    counter(out, "tally_feed_marks_total", in->publish.marks, "Marks written to ops/feed.");
    gauge(out, "tally_feed_republishing_shards", publisher->open_shards,
          "Shards whose totals the broker may lack and that are being published again.");
}

static void write_table(struct evbuffer *out, const struct metrics *in)
{
    const struct conflate_stats *table = &in->publisher.conflate;
    gauge(out, "tally_feed_articles", (double)table->articles,
          "Articles whose publication is remembered; option max_articles is the bound.");
    gauge(out, "tally_feed_waiting_articles", (double)table->waiting,
          "Changed articles that are not published yet.");
    counter(out, "tally_feed_forgotten_articles_total", table->evicted,
            "Quiet articles forgotten at the bound.");
    counter(out, "tally_feed_lost_repeats_total", table->repeats_lost,
            "Totals not repeated because their article was forgotten.");
    counter(out, "tally_feed_refused_articles_total", table->refused,
            "Times that a changed article had to wait because all in the table were waiting.");
}

static void write_states(struct evbuffer *out, const struct metrics *in)
{
    const struct state_sync_stats *sync = &in->state_sync;
    gauge(out, "tally_feed_states", (double)sync->states.articles,
          "Articles with a state; option max_states is the bound.");
    gauge(out, "tally_feed_waiting_states", (double)sync->states.requests,
          "States that an operator gave and Redis has not stored yet.");
    counter(out, "tally_feed_published_states_total", sync->published,
            "States published, or taken away.");
    counter(out, "tally_feed_stored_states_total", sync->stored,
            "States stored in Redis, or taken away there.");
    counter(out, "tally_feed_restored_states_total", sync->states.restored,
            "States that Redis had lost with its last seconds and that were stored once more.");
    counter(out, "tally_feed_refused_states_total", sync->states.refused,
            "Times that a state was neither stored nor published because the table was full.");
    counter(out, "tally_feed_bad_states_total", sync->bad,
            "Messages on articles/ that were no state.");
}

static void write_http(struct evbuffer *out, const struct metrics *in)
{
    const struct http_stats *http = &in->http;
    head(out, "tally_http_answers_total", COUNTER, "HTTP answers by status code.");
    for (int i = 0; i < HTTP_CODES; i++)
        evbuffer_add_printf(out, "tally_http_answers_total{code=\"%d\"} %" PRIu64 "\n",
                            http->answers[i].code, http->answers[i].n);
    counter(out, "tally_http_body_bytes_total", http->body_bytes, "Bytes of answers' bodies.");
    gauge(out, "tally_http_connections", (double)http->connections, "Open HTTP connections.");
    gauge(out, "tally_http_waiting_requests", (double)http->waiting,
          "HTTP requests that wait for their address's turn.");
    counter(out, "tally_http_dropped_connections_total", http->connections_dropped,
            "HTTP connections closed because they were too slow or too many.");
    counter(out, "tally_http_rests_total", http->rests,
            "Times that an address had used up its budget and its HTTP requests had to wait.");
    gauge(out, "tally_http_refused_addresses", (double)http->addresses_refused,
          "Addresses whose further HTTP connections the kernel refuses now.");
    counter(out, "tally_http_refused_lookups_total", http->lookups_refused,
            "Requests for totals refused because too many waited for Redis.");
}

static void write_creation(struct evbuffer *out, const struct creation *in)
{
    gauge(out, "tally_known_articles", in->known, "Articles that the broker's plugin knows.");
    gauge(out, "tally_known_articles_max", in->max,
          "Its option max_articles: how many it can know.");
    gauge(out, "tally_provisional_articles", in->provisional,
          "Of the known ones, those that hardly anyone has touched.");
    one(out, "tally_made_articles_total", COUNTER, in->made,
        "Articles that reactions made known since the broker started.");
    one(out, "tally_forgotten_articles_total", COUNTER, in->forgotten,
        "Articles forgotten since the broker started, as hardly anyone touched them.");
    head(out, "tally_refused_articles_total", COUNTER,
         "Reactions that would have made an article known, refused since the broker started.");
    for (int cause = 0; cause < CREATION_CAUSES; cause++)
        evbuffer_add_printf(out, "tally_refused_articles_total{cause=\"%s\"} %.17g\n",
                            creation_cause_name((enum creation_cause)cause), in->refused[cause]);
}

static void write_admission(struct evbuffer *out, const struct collector_status *in)
{
    gauge(out, "tally_spool_producer", in->producer, "1 while the broker's plugin has the spool.");
    one(out, "tally_admitted_reactions_total", COUNTER, in->admitted,
        "Reactions admitted since the spool was made.");
    head(out, "tally_refused_reactions_total", COUNTER,
         "Reactions refused since the spool was made, by reason.");
    for (int reason = 0; reason < REASON_COUNT; reason++)
        evbuffer_add_printf(out, "tally_refused_reactions_total{reason=\"%s\"} %.17g\n",
                            reason_name(reason), in->refused[reason]);
    one(out, "tally_dropped_refusal_receipts_total", COUNTER, in->refusal_receipts_dropped,
        "Receipts of refusals that were not sent because of their bound.");
    gauge(out, "tally_spool_records", in->in_spool, "Reactions in the spool, not applied yet.");
    gauge(out, "tally_spool_bytes", in->in_spool_bytes, "Their bytes.");
}

static void write_applied(struct evbuffer *out, const struct collector_status *in)
{
    one(out, "tally_collector_applied_total", COUNTER, in->applied,
        "Reactions applied since the collector started.");
    one(out, "tally_collector_new_total", COUNTER, in->fresh,
        "Of these, the first of a reader on an article.");
    one(out, "tally_collector_changed_total", COUNTER, in->changed, "Of these, changes.");
    one(out, "tally_collector_repeated_total", COUNTER, in->repeated, "Of these, repeats.");
    one(out, "tally_collector_superseded_total", COUNTER, in->superseded,
        "Of these, reactions older than the register's.");
    one(out, "tally_collector_quarantined_total", COUNTER, in->quarantined,
        "Records that could not be applied.");
    one(out, "tally_collector_lost_total", COUNTER, in->lost,
        "Reactions that Redis lost and the spool held no longer.");
    one(out, "tally_collector_damaged_total", COUNTER, in->damaged,
        "Damaged records found in rings.");
    one(out, "tally_collector_batches_total", COUNTER, in->batches, "Batches applied.");
    one(out, "tally_collector_receipts_total", COUNTER, in->receipts, "Receipts published.");
    one(out, "tally_collector_dropped_receipts_total", COUNTER, in->receipts_dropped,
        "Receipts that were not sent because the broker accepted nothing.");
    one(out, "tally_collector_wakeups_total", COUNTER, in->wakeups,
        "Times that the plugin woke the collector.");
    one(out, "tally_collector_redis_reconnects_total", COUNTER, in->redis_reconnects,
        "Connections of the collector to Redis that were lost.");
    one(out, "tally_audit_articles_total", COUNTER, in->audited,
        "Articles whose registers the collector counted again.");
    one(out, "tally_audit_differing_total", COUNTER, in->audit_differing,
        "Of these, those whose totals in Redis differ.");
    one(out, "tally_audit_skipped_total", COUNTER, in->audit_skipped,
        "Articles that changed too fast for the collector to count them.");
}

static void write_shards(struct evbuffer *out, const struct collector_status *in)
{
    head(out, "tally_shard_backlog_bytes", GAUGE, "Bytes in a shard's rings that are not applied.");
    for (uint32_t i = 0; i < in->n; i++)
        evbuffer_add_printf(out, "tally_shard_backlog_bytes{shard=\"%" PRIu32 "\"} %" PRIu64 "\n",
                            in->shard[i].shard, in->shard[i].backlog_bytes);
    head(out, "tally_shard_old_rings", GAUGE, "Old rings of a shard that are being drained.");
    for (uint32_t i = 0; i < in->n; i++)
        evbuffer_add_printf(out, "tally_shard_old_rings{shard=\"%" PRIu32 "\"} %" PRIu64 "\n",
                            in->shard[i].shard, in->shard[i].old_rings);
    head(out, "tally_shard_held", GAUGE, "1 while a shard is held and nothing of it is applied.");
    for (uint32_t i = 0; i < in->n; i++)
        evbuffer_add_printf(out, "tally_shard_held{shard=\"%" PRIu32 "\"} %d\n", in->shard[i].shard,
                            in->shard[i].held);
}

void metrics_write(struct evbuffer *out, const struct metrics *in)
{
    const struct collector_status *collector = in->collector;
    write_process(out, in);
    write_links(out, in);
    write_totals(out, in);
    write_table(out, in);
    write_states(out, in);
    write_http(out, in);
    if (in->creation.heard)
        write_creation(out, &in->creation);
    gauge(out, "tally_collector_up", collector != NULL,
          "1 while the collector's status is heard; without it, what follows is left out.");
    if (collector == NULL)
        return;
    gauge(out, "tally_collector_ready", collector->ready,
          "1 while the collector can apply reactions.");
    gauge(out, "tally_collector_clock_skew_seconds", collector->clock_skew_ms / 1000,
          "The edge's clock minus that of Redis.");
    write_admission(out, collector);
    write_applied(out, collector);
    write_shards(out, collector);
}

void metrics_process(struct metrics *metrics)
{
    struct rusage usage;
    unsigned long pages = 0;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metrics->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(statm);
    }
    metrics->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
}
