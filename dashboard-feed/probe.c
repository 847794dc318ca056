/* One state machine. A step that has happened has its time; the first that has none, in the order
 * in which they must happen, is why a probe failed. */
#include "probe.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define US_PER_MS UINT64_C(1000)

static const double bounds_s[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                  0.1,   0.25,   0.5,   1,    2.5,   5};

static const char *const failure_names[PROBE_FAILURES] = {
    [PROBE_CONNECTION] = "connection", [PROBE_ACKNOWLEDGEMENT] = "acknowledgement",
    [PROBE_REFUSED] = "refused",       [PROBE_RECEIPT] = "receipt",
    [PROBE_TOTAL] = "total",
};

const char *probe_failure_name(enum probe_failure failure)
{
    return failure_names[failure];
}

void probe_init(struct probe *probe, uint64_t interval_ms, uint64_t number, uint64_t now_us)
{
    memset(probe, 0, sizeof *probe);
    probe->number = number;
    probe->interval_us = interval_ms * US_PER_MS;
    probe->next_us = now_us + probe->interval_us;
    histogram_init(&probe->total_s, bounds_s, sizeof bounds_s / sizeof bounds_s[0]);
    histogram_init(&probe->receipt_s, bounds_s, sizeof bounds_s / sizeof bounds_s[0]);
}

/* ---- beginning and ending ---- */

static uint64_t probe_due_us(const struct probe *probe)
{
    return probe->phase == PROBE_RESTING ? probe->next_us
                                         : probe->begun_us + PROBE_MAX_MS * US_PER_MS;
}

uint64_t probe_rest_us(const struct probe *probe, uint64_t now_us)
{
    uint64_t due_us = probe_due_us(probe);
    return due_us > now_us ? due_us - now_us : 0;
}

/* 0 means that a step has not happened. */
static uint64_t probe_took_us(uint64_t from_us, uint64_t now_us)
{
    return now_us > from_us ? now_us - from_us : 1;
}

bool probe_begin(struct probe *probe, uint64_t now_us)
{
    if (probe->phase != PROBE_RESTING || now_us < probe->next_us)
        return false;
    probe->phase = PROBE_CONNECTING;
    probe->begun_us = now_us;
    probe->next_us = now_us + probe->interval_us;
    probe->refused = false;
    probe->connect_us = probe->acknowledge_us = probe->receipt_us = probe->total_us = 0;
    return true;
}

struct probe_reaction probe_connected(struct probe *probe, uint64_t now_us)
{
    struct probe_reaction reaction = {.kind = probe->kind};
    probe->phase = PROBE_WAITING;
    probe->connect_us = probe_took_us(probe->begun_us, now_us);
    probe->sent_us = now_us;
    probe->number++;
    probe->raised = probe->known && !probe->raised;
    reaction.withdraw = !probe->raised;
    snprintf(reaction.correlation, sizeof reaction.correlation, "%" PRIu64, probe->number);
    return reaction;
}

/* Later than PROBE_MAX_MS the next one begins at once. */
static void probe_rest(struct probe *probe, uint64_t now_us)
{
    probe->phase = PROBE_RESTING;
    if (probe->next_us < now_us)
        probe->next_us = now_us;
}

static bool probe_fail(struct probe *probe, enum probe_failure failure, uint64_t now_us)
{
    probe->failed[failure]++;
    probe->in_a_row++;
    probe->ok = probe->known = probe->withdrew = false;
    probe_rest(probe, now_us);
    return true;
}

/* Whether it has ended well. */
static bool probe_settle(struct probe *probe, uint64_t now_us)
{
    if (probe->receipt_us == 0 || (probe->known && probe->total_us == 0))
        return false;
    if (probe->known) {
        probe->done++;
        probe->ok = true;
        probe->in_a_row = 0;
        probe->why[0] = '\0';
        histogram_add(&probe->total_s, (double)probe->total_us / 1e6);
        histogram_add(&probe->receipt_s, (double)probe->receipt_us / 1e6);
    }
    probe->withdrew = !probe->known;
    probe->known = true;
    probe_rest(probe, now_us);
    return true;
}

void probe_abandon(struct probe *probe, uint64_t now_us)
{
    probe->known = false;
    probe_rest(probe, now_us);
}

bool probe_lost(struct probe *probe, uint64_t now_us)
{
    if (probe->phase == PROBE_RESTING)
        return false;
    snprintf(probe->why, sizeof probe->why, "the connection to the broker ended");
    return probe_fail(probe, PROBE_CONNECTION, now_us);
}

bool probe_expire(struct probe *probe, const char *link_why, uint64_t now_us)
{
    if (probe->phase == PROBE_RESTING || now_us < probe_due_us(probe))
        return false;
    enum probe_failure failure = probe->phase == PROBE_CONNECTING ? PROBE_CONNECTION
                                 : probe->refused                 ? PROBE_REFUSED
                                 : probe->acknowledge_us == 0     ? PROBE_ACKNOWLEDGEMENT
                                 : probe->receipt_us == 0         ? PROBE_RECEIPT
                                                                  : PROBE_TOTAL;
    if (failure == PROBE_REFUSED)
        snprintf(probe->why, sizeof probe->why, "the broker refused the reaction");
    else
        snprintf(probe->why, sizeof probe->why, "no %s within %d s%s%s", failure_names[failure],
                 PROBE_MAX_MS / 1000, link_why[0] != '\0' ? ": " : "", link_why);
    return probe_fail(probe, failure, now_us);
}

/* ---- what comes ---- */

void probe_acknowledged(struct probe *probe, uint64_t now_us)
{
    if (probe->phase == PROBE_WAITING && probe->acknowledge_us == 0)
        probe->acknowledge_us = probe_took_us(probe->sent_us, now_us);
}

void probe_refused(struct probe *probe)
{
    probe->refused = true;
}

static const char *probe_text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

bool probe_hear_receipt(struct probe *probe, const void *correlation, size_t correlation_bytes,
                        const char *payload, size_t bytes, uint64_t now_us)
{
    char own[PROBE_CORRELATION_BYTES];
    int own_bytes = snprintf(own, sizeof own, "%" PRIu64, probe->number);
    if (probe->phase != PROBE_WAITING || probe->receipt_us != 0 || correlation == NULL ||
        correlation_bytes != (size_t)own_bytes || memcmp(correlation, own, correlation_bytes) != 0)
        return false;
    bool ended = false;
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(payload, bytes) : NULL;
    const char *outcome = probe_text(object, "outcome"), *reason = probe_text(object, "reason");
    if (strcmp(outcome, probe->raised ? "counted" : "retracted") == 0) {
        probe->receipt_us = probe_took_us(probe->sent_us, now_us);
        ended = probe_settle(probe, now_us);
    } else if (outcome[0] != '\0') {
        if (strcmp(reason, "unknown_kind") == 0)
            probe->kind++; /* the store has it, and the broker no longer does */
        snprintf(probe->why, sizeof probe->why, "the reaction is %.20s%s%.20s", outcome,
                 reason[0] != '\0' ? ": " : "", reason);
        ended = probe_fail(probe, PROBE_REFUSED, now_us);
    }
    cJSON_Delete(object);
    return ended;
}

bool probe_hear_total(struct probe *probe, const char *payload, size_t bytes, uint64_t now_us)
{
    if (probe->phase != PROBE_WAITING || !probe->known || probe->total_us != 0 || bytes == 0)
        return false;
    cJSON *object = cJSON_ParseWithLength(payload, bytes);
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(object, "total");
    bool shown = cJSON_IsNumber(total) && total->valuedouble == (probe->raised ? 1 : 0);
    cJSON_Delete(object);
    if (!shown)
        return false;
    probe->total_us = probe_took_us(probe->sent_us, now_us);
    return probe_settle(probe, now_us);
}

/* ---- what it says ---- */

const char *probe_why(const struct probe *probe)
{
    return probe->in_a_row >= PROBE_FAILS_FROM ? probe->why : "";
}

static void probe_add_ms(cJSON *object, const char *name, uint64_t us)
{
    if (us == 0)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, (double)us / 1000);
}

void probe_json(const struct probe *probe, const char *article, uint64_t unix_ms,
                char out[PROBE_JSON_MAX_BYTES])
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "at_ms", (double)unix_ms);
    cJSON_AddStringToObject(object, "article", article);
    cJSON_AddBoolToObject(object, "ok", probe->ok);
    cJSON_AddStringToObject(object, "reason", probe->why);
    cJSON_AddNumberToObject(object, "failed_in_a_row", probe->in_a_row);
    probe_add_ms(object, "connect_ms", probe->connect_us);
    probe_add_ms(object, "acknowledge_ms", probe->acknowledge_us);
    probe_add_ms(object, "receipt_ms", probe->receipt_us);
    probe_add_ms(object, "total_ms", probe->total_us);
    cJSON_AddNumberToObject(object, "done", (double)probe->done);
    cJSON *failed = cJSON_AddObjectToObject(object, "failed");
    for (int i = 0; i < PROBE_FAILURES; i++)
        cJSON_AddNumberToObject(failed, failure_names[i], (double)probe->failed[i]);
    if (!cJSON_PrintPreallocated(object, out, PROBE_JSON_MAX_BYTES, false))
        snprintf(out, PROBE_JSON_MAX_BYTES, "{}");
    cJSON_Delete(object);
}
