/* A dead collector is not a reason to send readers elsewhere until a ring is full. Then only the
 * plugin reports a full ring, by counting its refusals. Nothing can empty a ring without a
 * collector, so the first such refusal decides until the collector is back. */
#include "ready.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void ready_init(struct ready *ready)
{
    memset(ready, 0, sizeof *ready);
}

void ready_collector(struct ready *ready, const struct collector_status *status)
{
    if (!status->online)
        return;
    memcpy(ready->refuses, status->refuses, sizeof ready->refuses);
    ready->busy_then = status->refused[REASON_BUSY];
    ready->busy_known = true;
    ready->has_store = status->store[0] != '\0';
}

void ready_refusals(struct ready *ready, const char *payload, size_t bytes)
{
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(payload, bytes) : NULL;
    const cJSON *refused = cJSON_GetObjectItemCaseSensitive(object, "refused");
    const cJSON *busy = cJSON_GetObjectItemCaseSensitive(refused, reason_name(REASON_BUSY));
    if (cJSON_IsNumber(busy) && isfinite(busy->valuedouble))
        ready->busy = busy->valuedouble;
    cJSON_Delete(object);
}

static void ready_add(cJSON *reasons, const char *part, const char *why)
{
    char text[COLLECTOR_STATUS_REASON_MAX_BYTES + 32];
    snprintf(text, sizeof text, "%s%s", part, why);
    cJSON_AddItemToArray(reasons, cJSON_CreateString(text));
}

bool ready_check(struct ready *ready, const struct ready_now *now)
{
    ready->states_read = ready->states_read || now->states_loaded;
    cJSON *object = cJSON_CreateObject();
    cJSON *status = cJSON_AddStringToObject(object, "status", "ready");
    cJSON *reasons = cJSON_AddArrayToObject(object, "reasons");
    if (now->stopping)
        ready_add(reasons, "feed: ", "stopping");
    if (now->broker[0] != '\0')
        ready_add(reasons, "broker: ", now->broker);
    if (ready->refuses[0] != '\0')
        ready_add(reasons, "", ready->refuses);
    if (!now->collector_fresh && ready->busy_known && ready->busy > ready->busy_then)
        ready_add(reasons, "spool: ", "a ring is full, and no collector empties it");
    if (now->collector_fresh && ready->has_store && !ready->states_read)
        ready_add(reasons, "feed: ", "the states of articles are not read yet");
    bool ok = status != NULL && reasons != NULL && cJSON_GetArraySize(reasons) == 0;
    if (!ok && status != NULL)
        cJSON_SetValuestring(status, "not ready");
    if (!cJSON_PrintPreallocated(object, ready->json, sizeof ready->json, false))
        ok = false;
    cJSON_Delete(object);
    return ok;
}
