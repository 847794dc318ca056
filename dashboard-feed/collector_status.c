/* Reads the JSON with cJSON, member by member. */
#include "collector_status.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const cJSON *collector_status_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double collector_status_number(const cJSON *object, const char *name)
{
    const cJSON *item = collector_status_member(object, name);
    /* cJSON reads 1e999 as infinite, which no metric is. */
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : 0;
}

static uint64_t collector_status_whole(const cJSON *object, const char *name)
{
    double value = collector_status_number(object, name);
    return value > 0 && value < 9007199254740992.0 ? (uint64_t)value : 0;
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = collector_status_member(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void read_shards(struct collector_status *status, const cJSON *shards)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, shards)
    {
        if (status->n == COVER_MAX_SHARDS)
            return;
        status->shard[status->n++] = (struct collector_shard){
            .shard = (uint32_t)collector_status_whole(one, "shard"),
            .backlog_bytes = collector_status_whole(one, "backlog_bytes"),
            .old_rings = collector_status_whole(one, "old_rings"),
            .held = text(one, "held")[0] != '\0',
        };
    }
}

/* All of it, or the words for which there is room, and that there were more. */
static void copy_words(char *out, size_t size, const char *words)
{
    static const char more[] = " \xe2\x80\xa6";
    size_t bytes = strlen(words);
    if (bytes < size) {
        memcpy(out, words, bytes + 1);
        return;
    }
    for (bytes = size - sizeof more; bytes > 0 && words[bytes] != ' ';)
        bytes--;
    memcpy(out, words, bytes);
    memcpy(out + bytes, more, sizeof more);
}

/* 16 hex digits, or "". */
static void copy_id(char out[17], const char *id)
{
    size_t bytes = strspn(id, "0123456789abcdef");
    snprintf(out, 17, "%s", bytes == 16 && id[bytes] == '\0' ? id : "");
}

int collector_status_parse(struct collector_status *status, const char *json, size_t bytes)
{
    memset(status, 0, sizeof *status);
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(json, bytes) : NULL;
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return -1;
    }
    status->online = cJSON_IsTrue(collector_status_member(object, "online"));
    if (status->online) {
        const cJSON *refused = collector_status_member(object, "refused");
        status->ready = cJSON_IsTrue(collector_status_member(object, "ready"));
        status->producer = cJSON_IsTrue(collector_status_member(object, "producer"));
        copy_words(status->reason, sizeof status->reason, text(object, "reason"));
        copy_words(status->refuses, sizeof status->refuses, text(object, "refuses"));
        copy_id(status->edge, text(object, "edge"));
        copy_id(status->store, text(object, "store"));
        status->clock_skew_ms = collector_status_number(object, "clock_skew_ms");
        status->admitted = collector_status_number(object, "admitted");
        for (int reason = 0; reason < REASON_COUNT; reason++)
            status->refused[reason] = collector_status_number(refused, reason_name(reason));
        status->applied = collector_status_number(object, "applied");
        status->fresh = collector_status_number(object, "new");
        status->changed = collector_status_number(object, "changed");
        status->repeated = collector_status_number(object, "repeated");
        status->superseded = collector_status_number(object, "superseded");
        status->quarantined = collector_status_number(object, "quarantined");
        status->lost = collector_status_number(object, "lost");
        status->damaged = collector_status_number(object, "damaged");
        status->in_spool = collector_status_number(object, "in_spool");
        status->in_spool_bytes = collector_status_number(object, "in_spool_bytes");
        status->batches = collector_status_number(object, "batches");
        status->receipts = collector_status_number(object, "receipts");
        status->receipts_dropped = collector_status_number(object, "receipts_dropped");
        status->refusal_receipts_dropped =
            collector_status_number(object, "refusal_receipts_dropped");
        status->wakeups = collector_status_number(object, "wakeups");
        status->redis_reconnects = collector_status_number(object, "redis_reconnects");
        status->audited = collector_status_number(object, "audited");
        status->audit_differing = collector_status_number(object, "audit_differing");
        status->audit_skipped = collector_status_number(object, "audit_skipped");
        read_shards(status, collector_status_member(object, "shards"));
    }
    cJSON_Delete(object);
    return 0;
}
