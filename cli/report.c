/* Collects differences up to a bound, and writes them as text or as JSON. */
#include "report.h"

#include "json_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int report_init(struct report *report)
{
    memset(report, 0, sizeof *report);
    report->line = calloc(REPORT_LISTED_MAX, sizeof *report->line);
    return report->line == NULL ? -1 : 0;
}

void report_fini(struct report *report)
{
    free(report->line);
    report->line = NULL;
}

void report_differs(struct report *report, enum audit_link link, const char *subject,
                    const char *what, int64_t expected, int64_t found)
{
    report->differences++;
    if (report->listed == REPORT_LISTED_MAX)
        return;
    struct report_line *line = &report->line[report->listed++];
    line->link = link;
    line->expected = expected;
    line->found = found;
    snprintf(line->subject, sizeof line->subject, "%s", subject);
    snprintf(line->what, sizeof line->what, "%s", what);
}

void report_fails(struct report *report, const char *what, const char *why)
{
    if (report->failures++ == 0)
        snprintf(report->failure, sizeof report->failure, "%s: %s", what, why);
}

int report_status(const struct report *report)
{
    return report->differences > 0 ? 1 : report->failures > 0 ? 2 : 0;
}

static const char *verdict(const struct report *report)
{
    static const char *const words[] = {"consistent", "differs", "could not be checked"};
    return words[report_status(report)];
}

/* --- text --- */

static void text_books(const struct books *books, FILE *out)
{
    if (!books->checked)
        return;
    fprintf(out,
            "edge %016" PRIx64 ": admitted %" PRIu64 " = applied %" PRIu64
            " + in the spool %" PRIu64 " + quarantined %" PRIu64 " + lost %" PRIu64 "\n",
            books->edge, books->admitted, books->sum.applied, books->sum.waiting,
            books->sum.quarantined, books->sum.lost);
    for (size_t i = 0; i < books->n; i++) {
        const struct books_ring *ring = &books->ring[i];
        fprintf(out,
                "  %s: appended %" PRIu64 ", applied %" PRIu64 ", in the spool %" PRIu64
                ", quarantined %" PRIu64 ", lost %" PRIu64 "\n",
                ring->name, ring->rest.end, ring->sum.applied, ring->sum.waiting,
                ring->sum.quarantined, ring->sum.lost);
    }
    fprintf(out,
            "  rings that are gone: applied %" PRIu64 ", quarantined %" PRIu64 ", lost %" PRIu64
            "\n",
            books->gone.applied, books->gone.quarantined, books->gone.lost);
    for (size_t i = 0; i < books->others; i++)
        fprintf(out,
                "edge %016" PRIx64 ", elsewhere: applied %" PRIu64 ", quarantined %" PRIu64
                ", lost %" PRIu64 "\n",
                books->other[i].edge, books->other[i].sum.applied, books->other[i].sum.quarantined,
                books->other[i].sum.lost);
}

void report_text(const struct report *report, FILE *out)
{
    const struct store_view_stats *stats = &report->stats;
    text_books(&report->books, out);
    fprintf(out,
            "articles: %" PRIu64 " audited, %" PRIu64 " differ, %" PRIu64
            " could not be checked; %" PRIu64 " registers counted in %" PRIu64 " calls of %" PRIu64
            " at most, %" PRIu64 " pauses of a shard, %" PRIu64 " ms\n",
            report->audited, report->differing, report->unchecked, stats->registers, stats->slices,
            stats->largest_slice, stats->pauses, stats->paused_ms);
    for (size_t i = 0; i < report->listed; i++) {
        const struct report_line *line = &report->line[i];
        fprintf(out, "differs: %s %s %s: expected %" PRId64 ", found %" PRId64 " (%+" PRId64 ")\n",
                audit_link_name(line->link), line->subject, line->what, line->expected, line->found,
                line->found - line->expected);
    }
    if (report->differences > report->listed)
        fprintf(out, "differs: %" PRIu64 " more\n", report->differences - report->listed);
    if (report->failures > 0)
        fprintf(out, "not checked: %s%s\n", report->failure,
                report->failures > 1 ? ", and more" : "");
    fprintf(out, "%s\n", verdict(report));
}

/* --- JSON --- */

static void json_sum(cJSON *object, const struct books_sum *sum)
{
    json_out_whole(object, "applied", (int64_t)sum->applied);
    json_out_whole(object, "in_spool", (int64_t)sum->waiting);
    json_out_whole(object, "quarantined", (int64_t)sum->quarantined);
    json_out_whole(object, "lost", (int64_t)sum->lost);
}

static void json_books(cJSON *object, const struct books *books)
{
    cJSON *json = cJSON_AddObjectToObject(object, "books");
    if (!books->checked)
        return;
    json_out_hex(json, "edge", books->edge);
    json_out_whole(json, "admitted", (int64_t)books->admitted);
    json_sum(json, &books->sum);
    cJSON *rings = cJSON_AddArrayToObject(json, "rings");
    for (size_t i = 0; i < books->n; i++) {
        cJSON *ring = cJSON_CreateObject();
        cJSON_AddStringToObject(ring, "ring", books->ring[i].name);
        json_out_whole(ring, "appended", (int64_t)books->ring[i].rest.end);
        json_sum(ring, &books->ring[i].sum);
        cJSON_AddItemToArray(rings, ring);
    }
    json_sum(cJSON_AddObjectToObject(json, "gone"), &books->gone);
    cJSON *others = cJSON_AddArrayToObject(json, "elsewhere");
    for (size_t i = 0; i < books->others; i++) {
        cJSON *other = cJSON_CreateObject();
        json_out_hex(other, "edge", books->other[i].edge);
        json_sum(other, &books->other[i].sum);
        cJSON_AddItemToArray(others, other);
    }
}

static void json_differences(cJSON *object, const struct report *report)
{
    cJSON *list = cJSON_AddArrayToObject(object, "differences");
    for (size_t i = 0; i < report->listed; i++) {
        const struct report_line *line = &report->line[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "link", audit_link_name(line->link));
        cJSON_AddStringToObject(one, line->link == AUDIT_BOOKS ? "of" : "article", line->subject);
        cJSON_AddStringToObject(one, "what", line->what);
        json_out_whole(one, "expected", line->expected);
        json_out_whole(one, "found", line->found);
        json_out_whole(one, "difference", line->found - line->expected);
        cJSON_AddItemToArray(list, one);
    }
    json_out_whole(object, "differences_in_all", (int64_t)report->differences);
}

void report_json(const struct report *report, FILE *out)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "verdict", verdict(report));
    json_out_whole(object, "at_ms", (int64_t)report->at_ms);
    json_out_hex(object, "store", report->store);
    json_books(object, &report->books);
    cJSON *articles = cJSON_AddObjectToObject(object, "articles");
    json_out_whole(articles, "audited", (int64_t)report->audited);
    json_out_whole(articles, "differ", (int64_t)report->differing);
    json_out_whole(articles, "unchecked", (int64_t)report->unchecked);
    cJSON *redis = cJSON_AddObjectToObject(object, "redis");
    json_out_whole(redis, "registers", (int64_t)report->stats.registers);
    json_out_whole(redis, "slices", (int64_t)report->stats.slices);
    json_out_whole(redis, "largest_slice", (int64_t)report->stats.largest_slice);
    json_out_whole(redis, "pauses", (int64_t)report->stats.pauses);
    json_out_whole(redis, "paused_ms", (int64_t)report->stats.paused_ms);
    json_differences(object, report);
    cJSON_AddStringToObject(object, "not_checked", report->failure);
    json_out_print(object, out);
}
