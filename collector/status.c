/* Writes the status as JSON. */
#include "status.h"

#include <cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static void status_number(cJSON *json, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(json, name, (double)value);
}

static void add_plugin(cJSON *json, const struct status *status)
{
    status_number(json, "admitted", status->admitted);
    cJSON *refused = cJSON_AddObjectToObject(json, "refused");
    for (int i = 0; i < REASON_COUNT; i++)
        status_number(refused, reason_name(i), status->refused[i]);
    status_number(json, "refusal_receipts_dropped", status->refusal_receipts_dropped);
}

static void add_counts(cJSON *json, const struct status_counts *counts)
{
    status_number(json, "applied",
                  counts->added + counts->changed + counts->repeated + counts->superseded);
    status_number(json, "new", counts->added);
    status_number(json, "changed", counts->changed);
    status_number(json, "repeated", counts->repeated);
    status_number(json, "superseded", counts->superseded);
    status_number(json, "quarantined", counts->quarantined);
    status_number(json, "lost", counts->lost);
    status_number(json, "damaged", counts->damaged);
    status_number(json, "batches", counts->batches);
    status_number(json, "wakeups", counts->wakeups);
}

static void add_shards(cJSON *json, const struct status *status)
{
    uint64_t waiting = 0, bytes = 0;
    cJSON *shards = cJSON_AddArrayToObject(json, "shards");
    for (unsigned i = 0; i < status->shards; i++) {
        const struct status_shard *of = &status->shard[i];
        cJSON *shard = cJSON_CreateObject();
        status_number(shard, "shard", i);
        status_number(shard, "backlog_bytes", of->backlog_bytes);
        status_number(shard, "old_rings", of->old_rings);
        cJSON_AddStringToObject(shard, "held", of->held);
        cJSON_AddItemToArray(shards, shard);
        waiting += of->waiting;
        bytes += of->backlog_bytes;
    }
    status_number(json, "in_spool", waiting);
    status_number(json, "in_spool_bytes", bytes);
}

char *status_write(const struct status *status)
{
    char edge[17], store[17];
    cJSON *json = cJSON_CreateObject();
    snprintf(edge, sizeof edge, "%016" PRIx64, status->edge);
    snprintf(store, sizeof store, "%016" PRIx64, status->store);
    cJSON_AddBoolToObject(json, "online", true);
    cJSON_AddStringToObject(json, "version", TALLY_VERSION);
    cJSON_AddBoolToObject(json, "ready", status->ready);
    cJSON_AddStringToObject(json, "reason", status->reason);
    cJSON_AddStringToObject(json, "refuses", status->refuses);
    status_number(json, "at_ms", status->at_ms);
    cJSON_AddStringToObject(json, "edge", status->edge != 0 ? edge : "");
    cJSON_AddStringToObject(json, "store", status->store != 0 ? store : "");
    cJSON_AddBoolToObject(json, "producer", status->producer);
    cJSON_AddBoolToObject(json, "redis", status->redis);
    cJSON_AddNumberToObject(json, "clock_skew_ms", (double)status->clock_skew_ms);
    add_plugin(json, status);
    add_counts(json, &status->counts);
    status_number(json, "receipts", status->receipts);
    status_number(json, "receipts_dropped", status->receipts_dropped);
    status_number(json, "redis_reconnects", status->redis_reconnects);
    status_number(json, "redis_away", status->redis_away);
    status_number(json, "audited", status->audited);
    status_number(json, "audit_differing", status->audit_differing);
    status_number(json, "audit_skipped", status->audit_skipped);
    add_shards(json, status);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}
