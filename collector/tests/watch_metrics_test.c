/* What the collector's /metrics says is well formed, and is what DESIGN lists. */
#include "watch_metrics.h"

#include "core/stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exposition_table.h"

static struct status status;
static struct timings timings;

static char *text_of_metrics(void)
{
    const struct watch_metrics told = {.started_at_s = 1795510800.5,
                                       .topic_prefix = "news/",
                                       .status = &status,
                                       .timings = &timings};
    struct evbuffer *out = evbuffer_new();
    watch_metrics_write(out, &told);
    return exposition_table_text(out);
}

static int set_up(void **state)
{
    (void)state;
    memset(&status, 0, sizeof status);
    status.shards = 2;
    status.edge = 0xabc;
    timings_init(&timings);
    return 0;
}

static void design_lists_what_is_said(void **state)
{
    (void)state;
    char *text = text_of_metrics();
    exposition_table_compare(text, TALLY_COLLECTOR_DESIGN);
    free(text);
    exposition_table_units();
}

static void values_come_through(void **state)
{
    (void)state;
    status.ready = true;
    status.edge = 0xabc;
    status.clock_skew_ms = -1500;
    status.admitted = UINT64_MAX;
    status.refused[REASON_BUSY] = 7;
    status.counts = (struct status_counts){.added = 1, .changed = 2, .repeated = 3, .lost = 4};
    status.shard[0].waiting = 5;
    status.shard[1] = (struct status_shard){.waiting = 6, .backlog_bytes = 64, .held = "x"};
    timings_called(&timings, 3000000);
    char *text = text_of_metrics();
    assert_non_null(strstr(text, "\ntally_collector_ready 1\n"));
    assert_non_null(strstr(text,
                           "\ntally_edge_info{edge=\"0000000000000abc\",store=\"0000000000000000"
                           "\",topic_prefix=\"news/\"} 1\n"));
    assert_non_null(strstr(text, "\ntally_collector_clock_skew_seconds -1.5\n"));
    assert_non_null(strstr(text, "\ntally_admitted_reactions_total 18446744073709551615\n"));
    assert_non_null(strstr(text, "\ntally_refused_reactions_total{reason=\"busy\"} 7\n"));
    assert_non_null(strstr(text, "\ntally_collector_applied_total 6\n"));
    assert_non_null(strstr(text, "\ntally_collector_lost_total 4\n"));
    assert_non_null(strstr(text, "\ntally_spool_records 11\n"));
    assert_non_null(strstr(text, "\ntally_shard_backlog_bytes{shard=\"1\"} 64\n"));
    assert_non_null(strstr(text, "\ntally_shard_held{shard=\"0\"} 0\n"));
    assert_non_null(strstr(text, "\ntally_shard_held{shard=\"1\"} 1\n"));
    assert_non_null(strstr(text, "\ntally_collector_redis_call_seconds_bucket{le=\"0.0025\"} 0\n"
                                 "tally_collector_redis_call_seconds_bucket{le=\"0.005\"} 1\n"));
    assert_non_null(strstr(text, "\ntally_collector_redis_call_seconds_sum 0.003\n"));
    free(text);
}

static void a_spool_that_is_not_open_has_no_counts(void **state)
{
    (void)state;
    status.edge = 0;
    char *text = text_of_metrics();
    assert_non_null(strstr(text, "\ntally_spool_producer 0\n"));
    assert_null(strstr(text, "tally_admitted_reactions_total"));
    assert_null(strstr(text, "tally_refused_reactions_total"));
    free(text);
}

static void batches_and_their_reactions_are_timed(void **state)
{
    const uint64_t clicked_ms = STAMP_EPOCH_UNIX_MS + 1000;
    struct record record = {.reader = 1, .article = "a", .article_bytes = 1, .position = 64};
    struct batch *batch = batch_new(10, 0);
    (void)state;
    assert_non_null(batch);
    batch_begin(batch, (struct batch_point){.position = 64});
    for (uint64_t i = 0; i < 3; i++) {
        record.sequence = i;
        record.stamp = (1000 + 100 * i) * STAMP_COUNTS;
        assert_true(batch_add(batch, &record, 1));
        record.position += 64;
    }
    (void)batch_finish(batch);
    timings_applied(&timings, batch, clicked_ms + 150);
    assert_int_equal(histogram_up_to(&timings.batch_reactions, timings.batch_reactions.n), 1);
    assert_true(timings.batch_reactions.sum == 3);
    /* 150 ms and 50 ms ago, and one that is 50 ms ahead of the clock. */
    assert_int_equal(histogram_up_to(&timings.counted_s, timings.counted_s.n), 3);
    assert_true(timings.counted_s.sum > 0.1999 && timings.counted_s.sum < 0.2001);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(design_lists_what_is_said, set_up),
        cmocka_unit_test_setup(values_come_through, set_up),
        cmocka_unit_test_setup(a_spool_that_is_not_open_has_no_counts, set_up),
        cmocka_unit_test_setup(batches_and_their_reactions_are_timed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
