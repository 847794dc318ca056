/* Writes the metrics group by group. */
#include "metrics.h"

#include "daemon/exposition.h"

#include <inttypes.h>

static void write_edge(struct evbuffer *out, const struct metrics *in)
{
    exposition_gauge(out, "tally_healthy", in->healthy,
                     "1 while no part of the edge is away, as /healthz.");
    exposition_gauge(out, "tally_collector_up", in->collector != NULL,
                     "1 while the collector's status is heard.");
    exposition_head(out, "tally_edge_info", EXPOSITION_GAUGE,
                    "1; its labels say which edge, store and topic prefix.");
    evbuffer_add_printf(out, "tally_edge_info{edge=\"%s\",store=\"%s\",topic_prefix=\"%s\"} 1\n",
                        in->collector != NULL ? in->collector->edge : "",
                        in->collector != NULL ? in->collector->store : "", in->topic_prefix);
}

static void write_links(struct evbuffer *out, const struct metrics *in)
{
    const struct store_link_stats *link = &in->store_link;
    exposition_gauge(out, "tally_feed_redis_up", in->redis_up,
                     "1 while the feed follows the store in Redis with all of its shards.");
    exposition_gauge(out, "tally_feed_redis_shards_away", in->shards_away,
                     "Shards of the store that is followed that cannot be read.");
    exposition_counter(out, "tally_feed_redis_lost_total", link->reconnects,
                       "Connections to Redis that were lost.");
    exposition_counter(out, "tally_feed_redis_timeouts_total", link->timeouts,
                       "Connections to Redis dropped because no reply came in time.");
    exposition_counter(out, "tally_feed_redis_ranges_total", link->ranges,
                       "Requests for changed articles.");
    exposition_counter(out, "tally_feed_redis_lookups_total", link->lookups,
                       "Requests for totals, of up to 256 articles each.");
    exposition_counter(out, "tally_feed_redis_hints_total", link->hints,
                       "Hints that something changed.");
    exposition_counter(out, "tally_feed_redis_damaged_total", link->bad,
                       "Heads, bases, states and changed articles of an unknown format.");
    exposition_gauge(out, "tally_feed_broker_up", in->broker_up,
                     "1 while the feed is connected to the broker.");
    exposition_counter(out, "tally_feed_broker_connects_total", in->publish.connects,
                       "Connections to the broker.");
}

static void write_totals(struct evbuffer *out, const struct metrics *in)
{
    const struct publisher_stats *publisher = &in->publisher;
    exposition_counter(out, "tally_feed_changed_totals_total", publisher->changed,
                       "Totals published because they had changed.");
    exposition_counter(out, "tally_feed_repeated_totals_total", publisher->repeated,
                       "Totals published once more, some time after their last change.");
    exposition_counter(out, "tally_feed_republished_totals_total", publisher->republished,
                       "Totals published again because the broker may have lacked them.");
    exposition_counter(out, "tally_feed_outdated_totals_total", publisher->outdated,
                       "Totals not published, as a higher version was before.");
    exposition_counter(
        out, "tally_feed_touched_totals_total", publisher->touched,
        "Totals given a newer version in Redis, as a higher one was published before.");
    exposition_gauge(out, "tally_feed_stale_articles", (double)publisher->conflate.stale,
                     "Articles whose version in Redis is below what was published.");
    exposition_gauge(out, "tally_feed_comparing", publisher->comparing ? 1 : 0,
                     "1 while not all that was published is known to be in Redis.");
    exposition_counter(out, "tally_feed_failed_totals_total", in->publish.failures,
                       "Totals that could not be handed to the connection; they are tried again.");
    exposition_counter(out, "tally_feed_totals_bytes_total", in->publish.bytes,
                       "Bytes of totals published.");
    exposition_histogram(out, "tally_feed_publish_delay_seconds", &in->publisher.delay_s,
                         "From an article's change in Redis to its publication.");
    exposition_counter(out, "tally_feed_held_back_total", publisher->held_back,
                       "Times that publishing waited because the broker accepted nothing.");
    exposition_counter(out, "tally_feed_over_rate_total", publisher->over_rate,
                       "Times that totals waited because publish_rate was reached.");
    exposition_counter(out, "tally_feed_marks_total", in->publish.marks,
                       "Marks written to ops/feed.");
    exposition_gauge(out, "tally_feed_republishing_shards", publisher->open_shards,
                     "Shards whose totals the broker may lack and that are being published again.");
}

static void write_table(struct evbuffer *out, const struct metrics *in)
{
    const struct conflate_stats *table = &in->publisher.conflate;
    exposition_gauge(out, "tally_feed_articles", (double)table->articles,
                     "Articles whose publication is remembered; option max_articles is the bound.");
    exposition_gauge(out, "tally_feed_waiting_articles", (double)table->waiting,
                     "Changed articles that are not published yet.");
    exposition_counter(out, "tally_feed_forgotten_articles_total", table->evicted,
                       "Quiet articles forgotten at the bound.");
    exposition_counter(out, "tally_feed_lost_repeats_total", table->repeats_lost,
                       "Totals not repeated because their article was forgotten.");
    exposition_counter(
        out, "tally_feed_refused_articles_total", table->refused,
        "Times that a changed article had to wait because all in the table were waiting.");
}

static void write_states(struct evbuffer *out, const struct metrics *in)
{
    const struct state_sync_stats *sync = &in->state_sync;
    exposition_gauge(out, "tally_feed_states", (double)sync->states.articles,
                     "Articles with a state; option max_states is the bound.");
    exposition_gauge(out, "tally_feed_waiting_states", (double)sync->states.requests,
                     "States that an operator gave and Redis has not stored yet.");
    exposition_counter(out, "tally_feed_published_states_total", sync->published,
                       "States published, or taken away.");
    exposition_counter(out, "tally_feed_stored_states_total", sync->stored,
                       "States stored in Redis, or taken away there.");
    exposition_counter(
        out, "tally_feed_restored_states_total", sync->states.restored,
        "States that Redis had lost with its last seconds and that were stored once more.");
    exposition_counter(
        out, "tally_feed_refused_states_total", sync->states.refused,
        "Times that a state was neither stored nor published because the table was full.");
    exposition_counter(out, "tally_feed_bad_states_total", sync->bad,
                       "Messages on articles/ that were no state.");
}

static void write_http(struct evbuffer *out, const struct metrics *in)
{
    const struct http_stats *http = &in->http;
    exposition_head(out, "tally_http_answers_total", EXPOSITION_COUNTER,
                    "HTTP answers by status code.");
    for (int i = 0; i < HTTP_CODES; i++)
        evbuffer_add_printf(out, "tally_http_answers_total{code=\"%d\"} %" PRIu64 "\n",
                            http->answers[i].code, http->answers[i].n);
    exposition_counter(out, "tally_http_body_bytes_total", http->body_bytes,
                       "Bytes of answers' bodies.");
    exposition_gauge(out, "tally_http_connections", (double)http->connections,
                     "Open HTTP connections.");
    exposition_gauge(out, "tally_http_waiting_requests", (double)http->waiting,
                     "HTTP requests that wait for their address's turn.");
    exposition_counter(out, "tally_http_dropped_connections_total", http->connections_dropped,
                       "HTTP connections closed because they were too slow or too many.");
    exposition_counter(
        out, "tally_http_rests_total", http->rests,
        "Times that an address had used up its budget and its HTTP requests had to wait.");
    exposition_gauge(out, "tally_http_refused_addresses", (double)http->addresses_refused,
                     "Addresses whose further HTTP connections the kernel refuses now.");
    exposition_counter(out, "tally_http_refused_lookups_total", http->lookups_refused,
                       "Requests for totals refused because too many waited for Redis.");
}

static void write_probe(struct evbuffer *out, const struct probe *probe)
{
    exposition_histogram(out, "tally_probe_seconds", &probe->total_s,
                         "From the probe's reaction to its changed total.");
    exposition_histogram(out, "tally_probe_receipt_seconds", &probe->receipt_s,
                         "From the probe's reaction to its receipt.");
    exposition_head(out, "tally_probe_failures_total", EXPOSITION_COUNTER,
                    "Probes that failed, by what did not happen.");
    for (int i = 0; i < PROBE_FAILURES; i++)
        evbuffer_add_printf(out, "tally_probe_failures_total{reason=\"%s\"} %" PRIu64 "\n",
                            probe_failure_name((enum probe_failure)i), probe->failed[i]);
}

static void write_broker(struct evbuffer *out, const struct broker_stats *in)
{
    static const struct {
        const char *name, *help;
    } of[BROKER_STATS_COUNT] = {
        [BROKER_STATS_CLIENTS] = {"tally_broker_clients", "Clients connected to the broker."},
        [BROKER_STATS_RECEIVED_BYTES] = {"tally_broker_received_bytes_total",
                                         "Bytes that the broker received."},
        [BROKER_STATS_SENT_BYTES] = {"tally_broker_sent_bytes_total",
                                     "Bytes that the broker sent."},
        [BROKER_STATS_RECEIVED_MESSAGES] = {"tally_broker_received_messages_total",
                                            "PUBLISH messages that the broker received."},
        [BROKER_STATS_SENT_MESSAGES] = {"tally_broker_sent_messages_total",
                                        "PUBLISH messages that the broker sent."},
        [BROKER_STATS_DROPPED_MESSAGES] = {"tally_broker_dropped_messages_total",
                                           "PUBLISH messages that the broker dropped, as a client "
                                           "was too slow."},
    };
    for (int i = 0; i < BROKER_STATS_COUNT; i++)
        if (in->heard[i] && i == BROKER_STATS_CLIENTS)
            exposition_gauge(out, of[i].name, in->value[i], of[i].help);
        else if (in->heard[i])
            exposition_counter(out, of[i].name, (uint64_t)in->value[i], of[i].help);
}

static void write_creation(struct evbuffer *out, const struct creation *in)
{
    exposition_gauge(out, "tally_known_articles", in->known,
                     "Articles that the broker's plugin knows.");
    exposition_gauge(out, "tally_known_articles_max", in->max,
                     "Its option max_articles: how many it can know.");
    exposition_gauge(out, "tally_provisional_articles", in->provisional,
                     "Of the known ones, those that hardly anyone has touched.");
    exposition_counter(out, "tally_made_articles_total", (uint64_t)in->made,
                       "Articles that reactions made known since the broker started.");
    exposition_counter(
        out, "tally_forgotten_articles_total", (uint64_t)in->forgotten,
        "Articles forgotten since the broker started, as hardly anyone touched them.");
    exposition_head(
        out, "tally_refused_articles_total", EXPOSITION_COUNTER,
        "Reactions that would have made an article known, refused since the broker started.");
    for (int cause = 0; cause < CREATION_CAUSES; cause++)
        evbuffer_add_printf(out, "tally_refused_articles_total{cause=\"%s\"} %.17g\n",
                            creation_cause_name((enum creation_cause)cause), in->refused[cause]);
}

void metrics_write(struct evbuffer *out, const struct metrics *in)
{
    exposition_process(out, "tally-feed", in->started_at_s);
    write_edge(out, in);
    write_links(out, in);
    write_totals(out, in);
    write_table(out, in);
    write_states(out, in);
    write_http(out, in);
    write_probe(out, in->probe);
    write_broker(out, &in->publish.broker);
    if (in->creation.heard)
        write_creation(out, &in->creation);
}
