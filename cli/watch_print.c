/* Both forms show the same figures. Rates have one decimal. */
#include "watch_print.h"

#include "json_out.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define PROBE_OLD_MS 30000

/* --- JSON --- */

static double print_rounded(double value)
{
    return round(value * 10) / 10;
}

static void print_number(cJSON *object, const char *name, bool known, double value)
{
    if (known)
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void print_counter(cJSON *object, const char *name, bool watched,
                          const struct watch_counter *counter)
{
    cJSON *one = cJSON_AddObjectToObject(object, name);
    print_number(one, "total", watched && counter->known, counter->value);
    print_number(one, "per_s", watched && counter->rated, print_rounded(counter->per_s));
}

static void print_group(cJSON *object, const char *name, const struct watch_group *group)
{
    cJSON *json = cJSON_AddObjectToObject(object, name);
    for (size_t i = 0; i < group->n; i++)
        cJSON_AddNumberToObject(json, group->of[i].name, group->of[i].value);
}

static void json_collector(cJSON *object, const struct watch_print *print)
{
    const struct watch_view *view = print->view;
    cJSON *collector = cJSON_AddObjectToObject(object, "collector");
    bool there = watch_view_collector(view, print->now_ms);
    cJSON_AddBoolToObject(collector, "away", !there);
    cJSON_AddBoolToObject(collector, "ready", there && view->ready);
    cJSON_AddStringToObject(collector, "reason", view->reason);
    cJSON_AddStringToObject(collector, "refuses", view->refuses);
    print_number(collector, "clock_skew_ms", there, view->clock_skew_ms);
    print_number(collector, "redis_away", there, view->redis_away);
    print_number(collector, "held_shards", there, view->held_shards);
}

static void json_status(cJSON *object, const struct watch_print *print)
{
    const struct watch_view *view = print->view;
    const bool known = view->status;
    cJSON *lag = cJSON_AddObjectToObject(object, "lag");
    print_number(lag, "in_spool", known, view->in_spool);
    print_number(lag, "in_spool_bytes", known, view->in_spool_bytes);
    print_number(lag, "old_rings", known, view->old_rings);
    print_number(lag, "oldest_ms", known, (double)watch_view_oldest_ms(view, print->now_ms));
    cJSON *reactions = cJSON_AddObjectToObject(object, "reactions");
    print_number(reactions, "lost", known, view->lost);
    print_number(reactions, "quarantined", known, view->quarantined);
    print_number(reactions, "damaged", known, view->damaged);
    cJSON *audit = cJSON_AddObjectToObject(object, "audit");
    print_number(audit, "audited", known, view->audited);
    print_number(audit, "differing", known, view->audit_differing);
    print_number(audit, "skipped", known, view->audit_skipped);
}

static void json_hottest(cJSON *object, const struct watch_print *print)
{
    cJSON *list = cJSON_AddArrayToObject(object, "hottest");
    for (size_t i = 0; i < print->hot_n; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "article", print->hot[i].article);
        cJSON_AddNumberToObject(one, "per_s", print_rounded(print->hot[i].per_s));
        cJSON_AddNumberToObject(one, "total", (double)print->hot[i].total);
        cJSON_AddItemToArray(list, one);
    }
}

void watch_print_json(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "at_ms", (double)print->unix_ms);
    cJSON_AddStringToObject(object, "broker", print->why == NULL ? "connected" : print->why);
    cJSON_AddStringToObject(object, "edge", view->edge);
    cJSON_AddStringToObject(object, "store", view->store);
    cJSON *health = cJSON_AddObjectToObject(object, "health");
    cJSON_AddStringToObject(health, "status", view->health);
    cJSON_AddStringToObject(health, "reasons", view->reasons);
    cJSON *probe = cJSON_AddObjectToObject(object, "probe");
    const bool shown = view->probed && view->probe_ok;
    print_number(probe, "at_ms", view->probed, view->probe_at_ms);
    print_number(probe, "receipt_ms", shown, print_rounded(view->probe_receipt_ms));
    print_number(probe, "total_ms", shown, print_rounded(view->probe_total_ms));
    cJSON_AddStringToObject(probe, "reason", view->probe_reason);
    json_collector(object, print);
    json_status(object, print);
    print_counter(object, "admitted", true, &view->admitted);
    print_counter(object, "applied", true, &view->applied);
    print_counter(object, "published", print->totals, &view->published);
    cJSON *refused = cJSON_AddObjectToObject(object, "refused");
    for (int i = 0; i < REASON_COUNT; i++)
        print_counter(refused, reason_name(i), true, &view->refused[i]);
    print_group(object, "connections_refused", &view->connections);
    print_group(object, "floods", &view->floods);
    print_group(object, "creation_refused", &view->created_refused);
    cJSON *articles = cJSON_AddObjectToObject(object, "articles");
    print_number(articles, "known", view->refusals, view->known);
    print_number(articles, "max", view->refusals, view->max_articles);
    print_number(articles, "provisional", view->refusals, view->provisional);
    json_hottest(object, print);
    json_out_print(object, out);
}

/* --- text --- */

/* A retained message outlives a feed that was killed. */
static void text_probe(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    const uint64_t age_ms = watch_view_probe_age_ms(view, print->now_ms);
    if (view->probe_ok)
        fprintf(out, "probe        counted after %.1f ms, shown after %.1f ms",
                view->probe_receipt_ms, view->probe_total_ms);
    else
        fprintf(out, "probe        failed: %s", view->probe_reason);
    if (age_ms >= PROBE_OLD_MS)
        fprintf(out, ", %" PRIu64 " s ago", age_ms / 1000);
    fputc('\n', out);
}

static void text_head(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    char time[16];
    struct tm utc;
    const time_t at_s = (time_t)(print->unix_ms / 1000);
    strftime(time, sizeof time, "%H:%M:%SZ", gmtime_r(&at_s, &utc));
    fprintf(out, "tally watch  %s  edge %s  store %s\n", time,
            view->edge[0] != '\0' ? view->edge : "?", view->store[0] != '\0' ? view->store : "?");
    fprintf(out, "broker       %s %s\n", print->where,
            print->why == NULL ? "connected" : print->why);
    fprintf(out, "health       %s%s%s\n", view->health[0] != '\0' ? view->health : "unknown",
            view->reasons[0] != '\0' ? ": " : "", view->reasons);
    if (view->probed)
        text_probe(print, out);
    if (!view->told)
        fprintf(out, "collector    unknown\n");
    else if (!watch_view_collector(view, print->now_ms))
        fprintf(out, "collector    away: what follows is its last status\n");
    else
        fprintf(out, "collector    %s%s%s\n", view->ready ? "ready" : "not ready",
                view->reason[0] != '\0' ? ": " : "", view->reason);
    if (view->refuses[0] != '\0')
        fprintf(out, "             readers should go to another edge: %s\n", view->refuses);
}

static void text_counter(const char *name, bool watched, const struct watch_counter *counter,
                         FILE *out)
{
    char per_s[32] = "-", total[32] = "-";
    if (watched && counter->rated)
        snprintf(per_s, sizeof per_s, "%.1f", counter->per_s);
    if (watched && counter->known)
        snprintf(total, sizeof total, "%.0f", counter->value);
    fprintf(out, "%-18s %12s %16s\n", name, per_s, total);
}

/* The sum of all reasons. */
static struct watch_counter print_refused(const struct watch_view *view)
{
    struct watch_counter sum = {.known = false};
    sum.value = watch_view_refused(view, &sum.per_s);
    for (int i = 0; i < REASON_COUNT; i++) {
        sum.known = sum.known || view->refused[i].known;
        sum.rated = sum.rated || view->refused[i].rated;
    }
    return sum;
}

static void text_rates(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    const struct watch_counter refused = print_refused(view);
    fprintf(out, "\n%-18s %12s %16s\n", "", "a second", "in all");
    text_counter("admitted", true, &view->admitted, out);
    text_counter("applied", true, &view->applied, out);
    text_counter("published", print->totals, &view->published, out);
    text_counter("refused", true, &refused, out);
    for (int i = 0; i < REASON_COUNT; i++) {
        char name[WATCH_VIEW_NAME_BYTES];
        snprintf(name, sizeof name, "  %s", reason_name(i));
        if (view->refused[i].known && view->refused[i].value > 0)
            text_counter(name, true, &view->refused[i], out);
    }
}

/* Only what is not 0. */
static void text_group(const char *name, const struct watch_group *group, FILE *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < group->n; i++)
        if (group->of[i].value > 0)
            fprintf(out, "%s%s %.0f", shown++ == 0 ? name : ", ", group->of[i].name,
                    group->of[i].value);
    if (shown > 0)
        fputc('\n', out);
}

static void text_status(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    fprintf(out, "waiting      %.0f reactions, %.0f bytes", view->in_spool, view->in_spool_bytes);
    if (view->in_spool > 0)
        fprintf(out, "; the oldest for at least %.0f s",
                floor((double)watch_view_oldest_ms(view, print->now_ms) / 1000));
    fprintf(out, "\nshards       %.0f held, %.0f without Redis; %.0f old rings\n",
            view->held_shards, view->redis_away, view->old_rings);
    fprintf(out, "reactions    %.0f lost, %.0f quarantined, %.0f damaged\n", view->lost,
            view->quarantined, view->damaged);
    fprintf(out, "audit        %.0f articles, %.0f differ, %.0f skipped\n", view->audited,
            view->audit_differing, view->audit_skipped);
}

/* Without a line for what is not known. */
static void text_lag(const struct watch_print *print, FILE *out)
{
    const struct watch_view *view = print->view;
    if (view->status || view->refusals)
        fputc('\n', out);
    if (view->status)
        text_status(print, out);
    if (view->refusals)
        fprintf(out, "articles     %.0f known of %.0f, %.0f provisional\n", view->known,
                view->max_articles, view->provisional);
    text_group("connections refused: ", &view->connections, out);
    text_group("floods stopped: ", &view->floods, out);
    text_group("new articles refused: ", &view->created_refused, out);
}

void watch_print_text(const struct watch_print *print, FILE *out)
{
    text_head(print, out);
    text_rates(print, out);
    text_lag(print, out);
    if (!print->totals)
        return;
    fprintf(out, "\n%12s %12s  %s\n", "a second", "total", "hottest articles");
    for (size_t i = 0; i < print->hot_n; i++)
        fprintf(out, "%12.1f %12" PRId64 "  %s\n", print->hot[i].per_s, print->hot[i].total,
                print->hot[i].article);
}

/* --- a terminal --- */

/* How many bytes of the line fit. A character beyond ASCII counts as one column. */
static size_t line_cut(const char *line, size_t bytes, unsigned columns)
{
    unsigned used = 0;
    for (size_t i = 0; i < bytes; i++)
        if (((unsigned char)line[i] & 0xc0) != 0x80 && used++ == columns)
            return i;
    return bytes;
}

/* Each line clears its rest, and the last one what is below: the screen never flickers. After the
 * last column, a terminal would clear the character in it. */
void watch_print_paint(const char *text, unsigned columns, unsigned rows, FILE *out)
{
    columns -= columns > 1;
    fputs("\x1b[H", out);
    for (unsigned row = 0; *text != '\0' && row < rows; row++) {
        size_t bytes = strcspn(text, "\n");
        fprintf(out, "%s%.*s\x1b[K", row > 0 ? "\r\n" : "", (int)line_cut(text, bytes, columns),
                text);
        text += bytes + (text[bytes] == '\n');
    }
    fputs("\x1b[J", out);
}
