#include "status.h"

#include <cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static void number(cJSON *json, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(json, name, (double)value);
}

static void add_plugin(cJSON *json, const struct status *status)
{
    number(json, "admitted", status->admitted);
    cJSON *refused = cJSON_AddObjectToObject(json, "refused");
    for (int i = 0; i < REASON_COUNT; i++)
        number(refused, reason_name(i), status->refused[i]);
    number(json, "refusal_receipts_dropped", status->refusal_receipts_dropped);
}

static void add_counts(cJSON *json, const struct status_counts *counts)
{
    number(json, "applied",
           counts->added + counts->changed + counts->repeated + counts->superseded);
    number(json, "new", counts->added);
    number(json, "changed", counts->changed);
    number(json, "repeated", counts->repeated);
    number(json, "superseded", counts->superseded);
    number(json, "set_aside", counts->set_aside);
    number(json, "lost", counts->lost);
    number(json, "damaged", counts->damaged);
    number(json, "batches", counts->batches);
    number(json, "wakeups", counts->wakeups);
}

static void add_shards(cJSON *json, const struct status *status)
{
    uint64_t waiting = 0, bytes = 0;
    cJSON *shards = cJSON_AddArrayToObject(json, "shards");
    for (unsigned i = 0; i < status->shards; i++) {
        const struct status_shard *of = &status->shard[i];
        cJSON *shard = cJSON_CreateObject();
        number(shard, "shard", i);
        number(shard, "backlog_bytes", of->backlog_bytes);
        number(shard, "old_rings", of->old_rings);
        cJSON_AddStringToObject(shard, "held", of->held);
        cJSON_AddItemToArray(shards, shard);
        waiting += of->waiting;
        bytes += of->backlog_bytes;
    }
    number(json, "in_spool", waiting);
    number(json, "in_spool_bytes", bytes);
}

char *status_write(const struct status *status)
{
    char edge[17], store[17];
    cJSON *json = cJSON_CreateObject();
    snprintf(edge, sizeof edge, "%016" PRIx64, status->edge);
    snprintf(store, sizeof store, "%016" PRIx64, status->store);
    cJSON_AddBoolToObject(json, "online", true);
    cJSON_AddBoolToObject(json, "ready", status->ready);
    cJSON_AddStringToObject(json, "reason", status->reason);
    cJSON_AddStringToObject(json, "refuses", status->refuses);
    number(json, "at_ms", status->at_ms);
    cJSON_AddStringToObject(json, "edge", status->edge != 0 ? edge : "");
    cJSON_AddStringToObject(json, "store", status->store != 0 ? store : "");
    cJSON_AddBoolToObject(json, "producer", status->producer);
    cJSON_AddBoolToObject(json, "redis", status->redis);
    cJSON_AddNumberToObject(json, "clock_skew_ms", (double)status->clock_skew_ms);
    add_plugin(json, status);
    add_counts(json, &status->counts);
    number(json, "receipts", status->receipts);
    number(json, "receipts_dropped", status->receipts_dropped);
    number(json, "redis_reconnects", status->redis_reconnects);
    number(json, "audited", status->audited);
    number(json, "audit_differing", status->audit_differing);
    number(json, "audit_skipped", status->audit_skipped);
    add_shards(json, status);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}
