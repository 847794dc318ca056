#include "collector_status.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    /* cJSON reads 1e999 as infinite, which no metric is. */
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : 0;
}

static uint64_t whole(const cJSON *object, const char *name)
{
    double value = number(object, name);
    return value > 0 && value < 9007199254740992.0 ? (uint64_t)value : 0;
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
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
            .shard = (uint32_t)whole(one, "shard"),
            .backlog_bytes = whole(one, "backlog_bytes"),
            .old_rings = whole(one, "old_rings"),
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
    status->online = cJSON_IsTrue(member(object, "online"));
    if (status->online) {
        const cJSON *refused = member(object, "refused");
        status->ready = cJSON_IsTrue(member(object, "ready"));
        status->producer = cJSON_IsTrue(member(object, "producer"));
        copy_words(status->reason, sizeof status->reason, text(object, "reason"));
        copy_words(status->refuses, sizeof status->refuses, text(object, "refuses"));
        copy_id(status->edge, text(object, "edge"));
        copy_id(status->store, text(object, "store"));
        status->clock_skew_ms = number(object, "clock_skew_ms");
        status->admitted = number(object, "admitted");
        for (int reason = 0; reason < REASON_COUNT; reason++)
            status->refused[reason] = number(refused, reason_name(reason));
        status->applied = number(object, "applied");
        status->fresh = number(object, "new");
        status->changed = number(object, "changed");
        status->repeated = number(object, "repeated");
        status->superseded = number(object, "superseded");
        status->quarantined = number(object, "quarantined");
        status->lost = number(object, "lost");
        status->damaged = number(object, "damaged");
        status->in_spool = number(object, "in_spool");
        status->in_spool_bytes = number(object, "in_spool_bytes");
        status->batches = number(object, "batches");
        status->receipts = number(object, "receipts");
        status->receipts_dropped = number(object, "receipts_dropped");
        status->refusal_receipts_dropped = number(object, "refusal_receipts_dropped");
        status->wakeups = number(object, "wakeups");
        status->redis_reconnects = number(object, "redis_reconnects");
        status->audited = number(object, "audited");
        status->audit_differing = number(object, "audit_differing");
        status->audit_skipped = number(object, "audit_skipped");
        read_shards(status, member(object, "shards"));
    }
    cJSON_Delete(object);
    return 0;
}
