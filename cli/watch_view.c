/* Reads the messages by cJSON. A missing member counts as 0, "" or false, so that older and newer
 * programs are understood. */
#include "watch_view.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define RATE_MS 900 /* a status may also come between two seconds: too soon for a rate */

void watch_view_init(struct watch_view *view)
{
    memset(view, 0, sizeof *view);
    view->published.known = true;
}

/* --- members --- */

static double view_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static bool view_flag(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Appends a text for a terminal: one line, and nothing that a terminal obeys. The end is cut at a
 * whole character. */
static void view_append(char *out, size_t out_bytes, const char *text)
{
    size_t used = strlen(out);
    for (; *text != '\0' && used + 1 < out_bytes; text++) {
        unsigned char c = (unsigned char)*text;
        bool control =
            c < 0x20 || c == 0x7f ||
            (c == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0);
        out[used++] = control ? '?' : (char)c;
        if (control && c == 0xc2)
            text++;
    }
    if (*text != '\0') {
        while (used > 0 && ((unsigned char)out[used - 1] & 0xc0) == 0x80)
            used--;
        if (used > 0 && (unsigned char)out[used - 1] >= 0xc0)
            used--;
    }
    out[used] = '\0';
}

static void view_text(const cJSON *object, const char *name, char *out, size_t out_bytes)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    out[0] = '\0';
    if (cJSON_IsString(item))
        view_append(out, out_bytes, item->valuestring);
}

static void view_group(const cJSON *object, const char *name, struct watch_group *group)
{
    const cJSON *item;
    group->n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, name))
    {
        if (!cJSON_IsNumber(item) || item->string == NULL || group->n == WATCH_VIEW_GROUP_MAX)
            continue;
        group->of[group->n].name[0] = '\0';
        view_append(group->of[group->n].name, WATCH_VIEW_NAME_BYTES, item->string);
        group->of[group->n++].value = item->valuedouble;
    }
}

/* --- counters --- */

/* Rates are of the time in the message: a retained one may be old. */
static void counter_set(struct watch_counter *counter, double value, uint64_t now_ms)
{
    /* The first, or its program started again, or its clock was set back. */
    if (!counter->known || value < counter->from || now_ms < counter->from_ms) {
        *counter =
            (struct watch_counter){.known = true, .value = value, .from = value, .from_ms = now_ms};
        return;
    }
    counter->value = value;
    if (now_ms < counter->from_ms + RATE_MS)
        return;
    counter->rated = true;
    counter->per_s = (value - counter->from) * 1000 / (double)(now_ms - counter->from_ms);
    counter->from = value;
    counter->from_ms = now_ms;
}

/* The edge's clock now, and the time in a message, from which it follows. */
static uint64_t edge_clock(const struct watch_view *view, uint64_t now_ms)
{
    return view->edge_ms + (now_ms - view->edge_at_ms);
}

static uint64_t edge_told(struct watch_view *view, const cJSON *object, bool newest,
                          uint64_t now_ms)
{
    const double at_ms = view_number(object, "at_ms");
    if (!(at_ms > 0 && at_ms < 9e15))
        return edge_clock(view, now_ms);
    if (newest || (uint64_t)at_ms > view->edge_ms) {
        view->edge_ms = (uint64_t)at_ms;
        view->edge_at_ms = now_ms;
    }
    return (uint64_t)at_ms;
}

static void view_refused(struct watch_view *view, const cJSON *object, uint64_t now_ms)
{
    const cJSON *refused = cJSON_GetObjectItemCaseSensitive(object, "refused");
    if (!cJSON_IsObject(refused))
        return;
    for (int i = 0; i < REASON_COUNT; i++)
        counter_set(&view->refused[i], view_number(refused, reason_name(i)), now_ms);
}

/* --- messages --- */

static void view_history(struct watch_view *view, double admitted, uint64_t now_ms)
{
    if (view->kept > 0) {
        size_t last = (view->first + view->kept - 1) % WATCH_VIEW_HISTORY;
        if (admitted < view->history[last].admitted) /* another spool */
            view->kept = 0;
    }
    size_t at = (view->first + view->kept) % WATCH_VIEW_HISTORY;
    if (view->kept == WATCH_VIEW_HISTORY)
        view->first = (view->first + 1) % WATCH_VIEW_HISTORY;
    else
        view->kept++;
    view->history[at].at_ms = now_ms;
    view->history[at].admitted = admitted;
}

static void view_shards(struct watch_view *view, const cJSON *object)
{
    const cJSON *shard;
    view->old_rings = view->held_shards = 0;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(object, "shards"))
    {
        const cJSON *held = cJSON_GetObjectItemCaseSensitive(shard, "held");
        view->old_rings += view_number(shard, "old_rings");
        view->held_shards += cJSON_IsString(held) && held->valuestring[0] != '\0';
    }
}

static void take_collector(struct watch_view *view, const cJSON *object, uint64_t now_ms)
{
    view->told = true;
    view->told_ms = now_ms;
    view->online = view_flag(object, "online");
    if (!view->online)
        return;
    view->status = true;
    view->ready = view_flag(object, "ready");
    view_text(object, "reason", view->reason, sizeof view->reason);
    view_text(object, "refuses", view->refuses, sizeof view->refuses);
    view_text(object, "edge", view->edge, sizeof view->edge);
    view_text(object, "store", view->store, sizeof view->store);
    view->in_spool = view_number(object, "in_spool");
    view->in_spool_bytes = view_number(object, "in_spool_bytes");
    view->redis_away = view_number(object, "redis_away");
    view->clock_skew_ms = view_number(object, "clock_skew_ms");
    view->lost = view_number(object, "lost");
    view->quarantined = view_number(object, "quarantined");
    view->damaged = view_number(object, "damaged");
    view->audited = view_number(object, "audited");
    view->audit_differing = view_number(object, "audit_differing");
    view->audit_skipped = view_number(object, "audit_skipped");
    view_shards(view, object);
    const uint64_t at_ms = edge_told(view, object, true, now_ms);
    counter_set(&view->admitted, view_number(object, "admitted"), at_ms);
    counter_set(&view->applied, view_number(object, "applied"), at_ms);
    view_refused(view, object, at_ms);
    view_history(view, view->admitted.value, now_ms);
}

/* The collector reports the same counters each second. Without one, these are all there are. */
static void take_refusals(struct watch_view *view, const cJSON *object, uint64_t now_ms)
{
    const cJSON *creation = cJSON_GetObjectItemCaseSensitive(object, "creation");
    if (!watch_view_collector(view, now_ms))
        view_refused(view, object, edge_told(view, object, false, now_ms));
    view_group(object, "connections", &view->connections);
    view_group(object, "floods", &view->floods);
    view_group(creation, "refused", &view->created_refused);
    view->refusals = true;
    view->known = view_number(creation, "known");
    view->max_articles = view_number(creation, "max");
    view->provisional = view_number(creation, "provisional");
}

static void take_health(struct watch_view *view, const cJSON *object)
{
    const cJSON *reason;
    view_text(object, "status", view->health, sizeof view->health);
    view->reasons[0] = '\0';
    cJSON_ArrayForEach(reason, cJSON_GetObjectItemCaseSensitive(object, "reasons"))
    {
        if (!cJSON_IsString(reason))
            continue;
        if (view->reasons[0] != '\0')
            view_append(view->reasons, sizeof view->reasons, "; ");
        view_append(view->reasons, sizeof view->reasons, reason->valuestring);
    }
}

static void take_probe(struct watch_view *view, const cJSON *object)
{
    view->probed = true;
    view->probe_at_ms = view_number(object, "at_ms");
    view->probe_ok = view_flag(object, "ok");
    view->probe_receipt_ms = view_number(object, "receipt_ms");
    view->probe_total_ms = view_number(object, "total_ms");
    view_text(object, "reason", view->probe_reason, sizeof view->probe_reason);
}

uint64_t watch_view_probe_age_ms(const struct watch_view *view, uint64_t now_ms)
{
    const double age_ms = (double)edge_clock(view, now_ms) - view->probe_at_ms;
    return view->probed && view->probe_at_ms > 0 && age_ms > 0 ? (uint64_t)age_ms : 0;
}

void watch_view_take(struct watch_view *view, const char *topic, const char *payload, size_t bytes,
                     uint64_t now_ms)
{
    if (bytes == 0 && strcmp(topic, "ops/probe") == 0)
        view->probed = false; /* the feed has ended */
    if (bytes == 0 || bytes > WATCH_VIEW_PAYLOAD_MAX_BYTES)
        return;
    cJSON *object = cJSON_ParseWithLength(payload, bytes);
    if (cJSON_IsObject(object)) {
        if (strcmp(topic, "ops/collector") == 0)
            take_collector(view, object, now_ms);
        else if (strcmp(topic, "ops/refusals") == 0)
            take_refusals(view, object, now_ms);
        else if (strcmp(topic, "ops/health") == 0)
            take_health(view, object);
        else if (strcmp(topic, "ops/probe") == 0)
            take_probe(view, object);
        else if (strcmp(topic, "ops/feed") == 0)
            view->feed = true;
    }
    cJSON_Delete(object);
}

void watch_view_published(struct watch_view *view)
{
    view->published.value++;
}

void watch_view_pass(struct watch_view *view, uint64_t now_ms)
{
    struct watch_counter *published = &view->published;
    if (published->from_ms == 0)
        published->from_ms = now_ms;
    counter_set(published, published->value, now_ms);
    if (watch_view_collector(view, now_ms))
        return;
    view->admitted.rated = view->applied.rated = false;
    for (int i = 0; i < REASON_COUNT; i++)
        if (view->refused[i].known)
            counter_set(&view->refused[i], view->refused[i].value, edge_clock(view, now_ms));
}

/* --- what follows --- */

bool watch_view_collector(const struct watch_view *view, uint64_t now_ms)
{
    return view->told && view->online && now_ms - view->told_ms <= WATCH_VIEW_AWAY_MS;
}

uint64_t watch_view_oldest_ms(const struct watch_view *view, uint64_t now_ms)
{
    const double before = view->admitted.value - view->in_spool; /* admitted before the oldest */
    if (view->in_spool <= 0)
        return 0;
    for (size_t i = 0; i < view->kept; i++) {
        size_t at = (view->first + i) % WATCH_VIEW_HISTORY;
        if (view->history[at].admitted > before)
            return now_ms - view->history[at].at_ms;
    }
    return 0;
}

double watch_view_refused(const struct watch_view *view, double *per_s)
{
    double sum = 0;
    *per_s = 0;
    for (int i = 0; i < REASON_COUNT; i++) {
        sum += view->refused[i].known ? view->refused[i].value : 0;
        *per_s += view->refused[i].rated ? view->refused[i].per_s : 0;
    }
    return sum;
}
