/* What /metrics says is well formed, and is what DESIGN lists: the same names, types and labels, in
 * both directions. */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exposition_table.h"

static struct collector_status collector = {.online = true, .ready = true};
static struct probe probe;
static struct metrics metrics = {
    .started_at_s = 1795510800.5,
    .topic_prefix = "news/",
    .collector = &collector,
    .probe = &probe,
    .publish = {.broker = {.heard = {true, true, true, true, true, true}}},
    .creation = {.heard = true}};

static char *text_of(const struct metrics *of)
{
    struct evbuffer *out = evbuffer_new();
    metrics_write(out, of);
    return exposition_table_text(out);
}

static void design_lists_what_is_said(void **state)
{
    (void)state;
    char *text = text_of(&metrics);
    exposition_table_compare(text, TALLY_FEED_DESIGN);
    free(text);
    exposition_table_units();
}

static void values_come_through(void **state)
{
    (void)state;
    static const double bounds[] = {0.5, 1};
    histogram_init(&metrics.publisher.delay_s, bounds, 2);
    histogram_add(&metrics.publisher.delay_s, 1);
    histogram_add(&metrics.publisher.delay_s, 1.25);
    probe_init(&probe, 1000, 0, 0);
    probe.failed[PROBE_RECEIPT] = 7;
    histogram_add(&probe.total_s, 0.002);
    metrics.publisher.changed = UINT64_MAX;
    metrics.http.answers[2].code = 304;
    metrics.http.answers[2].n = 9;
    metrics.creation.refused[CREATION_RATE] = 8;
    metrics.creation.known = 9;
    metrics.publish.broker.value[BROKER_STATS_SENT_BYTES] = 10;
    metrics.publish.broker.heard[BROKER_STATS_RECEIVED_BYTES] = false;
    char *text = text_of(&metrics);
    assert_non_null(strstr(text, "\ntally_broker_sent_bytes_total 10\n"));
    assert_null(strstr(text, "tally_broker_received_bytes_total"));
    assert_non_null(strstr(text, "\ntally_feed_publish_delay_seconds_bucket{le=\"0.5\"} 0\n"
                                 "tally_feed_publish_delay_seconds_bucket{le=\"1\"} 1\n"
                                 "tally_feed_publish_delay_seconds_bucket{le=\"+Inf\"} 2\n"
                                 "tally_feed_publish_delay_seconds_sum 2.25\n"
                                 "tally_feed_publish_delay_seconds_count 2\n"));
    assert_non_null(strstr(text, "\ntally_feed_changed_totals_total 18446744073709551615\n"));
    assert_non_null(strstr(text, "\ntally_http_answers_total{code=\"304\"} 9\n"));
    assert_non_null(strstr(text, "\ntally_refused_articles_total{cause=\"rate\"} 8\n"));
    assert_non_null(strstr(text, "\ntally_known_articles 9\n"));
    assert_non_null(strstr(text, "\ntally_probe_failures_total{reason=\"receipt\"} 7\n"));
    assert_non_null(strstr(text, "\ntally_probe_seconds_bucket{le=\"0.001\"} 0\n"
                                 "tally_probe_seconds_bucket{le=\"0.0025\"} 1\n"));
    assert_non_null(strstr(text, "\ntally_collector_up 1\n"));
    free(text);
}

static void an_away_collector_is_seen(void **state)
{
    struct metrics away = metrics;
    (void)state;
    away.collector = NULL;
    char *text = text_of(&away);
    assert_non_null(strstr(text, "\ntally_collector_up 0\n"));
    assert_non_null(strstr(text, "\ntally_edge_info{edge=\"\",store=\"\","));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(design_lists_what_is_said),
        cmocka_unit_test(values_come_through),
        cmocka_unit_test(an_away_collector_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
