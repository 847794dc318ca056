/* What /metrics says is well formed, and is what DESIGN lists: the same names, types and labels, in
 * both directions. */
#include "metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_METRICS 128

struct named {
    char name[80];
    char type[16];
    char label[16];
};

static struct named said[MAX_METRICS], listed[MAX_METRICS];
static size_t said_n, listed_n;
static struct collector_status collector = {
    .online = true, .ready = true, .clock_skew_ms = -1500, .admitted = 123456789012.0, .n = 2};
static struct metrics metrics = {.started_at_s = 1795510800.5,
                                 .topic_prefix = "news/",
                                 .collector = &collector,
                                 .creation = {.heard = true}};

static char *text_of(const struct metrics *of)
{
    struct evbuffer *out = evbuffer_new();
    metrics_write(out, of);
    size_t bytes = evbuffer_get_length(out);
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    evbuffer_remove(out, text, bytes);
    text[bytes] = '\0';
    evbuffer_free(out);
    return text;
}

static struct named *find(struct named *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* A sample: its name (without _sum or _count of a summary) must be the metric that was declared
 * last. */
static void read_sample(const char *line)
{
    struct named *last = &said[said_n - 1];
    size_t name_bytes = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *rest = line + name_bytes;
    char *end;
    assert_true(said_n > 0);
    assert_true(strncmp(line, last->name, strlen(last->name)) == 0);
    const char *suffix = line + strlen(last->name);
    if (strcmp(last->type, "summary") == 0)
        assert_true(strncmp(suffix, "_sum ", 5) == 0 || strncmp(suffix, "_count ", 7) == 0);
    else
        assert_ptr_equal(suffix, rest);
    if (*rest == '{') {
        size_t label_bytes = strcspn(rest + 1, "=");
        assert_true(label_bytes < sizeof last->label);
        snprintf(last->label, sizeof last->label, "%.*s", (int)label_bytes, rest + 1);
        rest = strchr(rest, '}');
        assert_non_null(rest);
        rest++;
    }
    assert_int_equal(*rest, ' ');
    strtod(rest + 1, &end);
    assert_true(end > rest + 1);
    assert_int_equal(*end, '\0');
}

static void read_said(char *text)
{
    char help[80] = "";
    said_n = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %79s", help), 1);
            assert_int_equal(line[strlen(line) - 1], '.');
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            struct named *one = &said[said_n++];
            memset(one, 0, sizeof *one);
            assert_int_equal(sscanf(line, "# TYPE %79s %15s", one->name, one->type), 2);
            assert_string_equal(one->name, help);
            assert_null(find(said, said_n - 1, one->name));
        } else {
            read_sample(line);
        }
    }
}

/* Rows of DESIGN: | `name` | type | label, or nothing | what it is | */
static void read_listed(void)
{
    char line[512];
    FILE *design = fopen(TALLY_FEED_DESIGN, "r");
    assert_non_null(design);
    listed_n = 0;
    while (fgets(line, sizeof line, design) != NULL) {
        struct named *one = &listed[listed_n];
        if (strncmp(line, "| `tally_", 9) != 0)
            continue;
        memset(one, 0, sizeof *one);
        int fields =
            sscanf(line, "| `%79[a-z_]` | %15[a-z] | %15[a-z] |", one->name, one->type, one->label);
        assert_true(fields >= 2);
        listed_n++;
    }
    fclose(design);
}

static void design_lists_what_is_said(void **state)
{
    (void)state;
    char *text = text_of(&metrics);
    read_said(text);
    free(text);
    read_listed();
    for (size_t i = 0; i < said_n; i++) {
        const struct named *row = find(listed, listed_n, said[i].name);
        if (row == NULL)
            print_error("DESIGN does not list %s\n", said[i].name);
        assert_non_null(row);
        assert_string_equal(row->type, said[i].type);
        assert_string_equal(row->label, said[i].label);
    }
    for (size_t i = 0; i < listed_n; i++) {
        if (find(said, said_n, listed[i].name) == NULL)
            print_error("nothing says %s\n", listed[i].name);
        assert_non_null(find(said, said_n, listed[i].name));
    }
    assert_int_equal(said_n, listed_n);
}

static void names_carry_units(void **state)
{
    (void)state;
    char *text = text_of(&metrics);
    read_said(text);
    free(text);
    for (size_t i = 0; i < said_n; i++) {
        size_t bytes = strlen(said[i].name);
        bool total = bytes > 6 && strcmp(said[i].name + bytes - 6, "_total") == 0;
        assert_int_equal(total, strcmp(said[i].type, "counter") == 0);
        assert_null(strstr(said[i].name, "_ms"));
    }
}

static void values_come_through(void **state)
{
    (void)state;
    metrics.publisher.delay_us = 1500000;
    metrics.publisher.delays = 4;
    metrics.publisher.changed = UINT64_MAX;
    metrics.http.answers[2].code = 304;
    metrics.http.answers[2].n = 9;
    collector.refused[REASON_BUSY] = 7;
    metrics.creation.refused[CREATION_RATE] = 8;
    metrics.creation.known = 9;
    collector.shard[1] = (struct collector_shard){.shard = 1, .backlog_bytes = 64, .held = true};
    char *text = text_of(&metrics);
    assert_non_null(strstr(text, "\ntally_feed_delay_seconds_sum 1.500000\n"));
    assert_non_null(strstr(text, "\ntally_feed_delay_seconds_count 4\n"));
    assert_non_null(strstr(text, "\ntally_feed_changed_totals_total 18446744073709551615\n"));
    assert_non_null(strstr(text, "\ntally_http_answers_total{code=\"304\"} 9\n"));
    assert_non_null(strstr(text, "\ntally_refused_reactions_total{reason=\"busy\"} 7\n"));
    assert_non_null(strstr(text, "\ntally_refused_articles_total{cause=\"rate\"} 8\n"));
    assert_non_null(strstr(text, "\ntally_known_articles 9\n"));
    assert_non_null(strstr(text, "\ntally_admitted_reactions_total 123456789012\n"));
    assert_non_null(strstr(text, "\ntally_collector_clock_skew_seconds -1.5\n"));
    assert_non_null(strstr(text, "\ntally_shard_backlog_bytes{shard=\"1\"} 64\n"));
    assert_non_null(strstr(text, "\ntally_shard_held{shard=\"1\"} 1\n"));
    assert_non_null(strstr(text, "\ntally_collector_up 1\n"));
    free(text);
}

static void an_away_collector_says_nothing(void **state)
{
    struct metrics away = metrics;
    (void)state;
    away.collector = NULL;
    char *text = text_of(&away);
    assert_non_null(strstr(text, "\ntally_collector_up 0\n"));
    assert_null(strstr(text, "tally_admitted_reactions_total"));
    assert_null(strstr(text, "tally_collector_ready"));
    free(text);
}

static void own_process(void **state)
{
    struct metrics own = {0};
    (void)state;
    metrics_process(&own);
    assert_true(own.resident_bytes > 100000);
    assert_true(own.cpu_s >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(design_lists_what_is_said),
        cmocka_unit_test(names_carry_units),
        cmocka_unit_test(values_come_through),
        cmocka_unit_test(an_away_collector_says_nothing),
        cmocka_unit_test(own_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
