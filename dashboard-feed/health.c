/* Combines the states of broker, Redis, collector and shards into one JSON object. */
#include "health.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const char unknown_json[] = "{\"status\":\"unhealthy\",\"reasons\":[\"feed: starting\"]}";

void health_init(struct health *health)
{
    memset(health, 0, sizeof *health);
    memcpy(health->json, unknown_json, sizeof unknown_json);
}

void health_collector(struct health *health, const char *payload, size_t bytes, uint64_t now_ms)
{
    health->heard = true;
    health->heard_ms = now_ms;
    if (collector_status_parse(&health->collector, payload, bytes) != 0)
        health->collector.online = false;
}

void health_forget_collector(struct health *health)
{
    health->heard = false;
}

bool health_collector_fresh(const struct health *health, uint64_t now_ms)
{
    return health->heard && health->collector.online &&
           now_ms - health->heard_ms <= HEALTH_COLLECTOR_MAX_AGE_MS;
}

static const char *why_collector(const struct health *health, uint64_t now_ms)
{
    if (!health->heard)
        return "not heard of";
    if (!health->collector.online)
        return "offline";
    if (!health_collector_fresh(health, now_ms))
        return "away: no status for 5 s";
    if (!health->collector.ready)
        return health->collector.reason[0] != '\0' ? health->collector.reason : "not ready";
    return "";
}

static void add_reason(cJSON *reasons, const char *part, const char *why)
{
    char text[HEALTH_WHY_MAX_BYTES + 32];
    if (why[0] == '\0')
        return;
    snprintf(text, sizeof text, "%s: %s", part, why);
    cJSON_AddItemToArray(reasons, cJSON_CreateString(text));
}

bool health_check(struct health *health, const char *redis, const char *broker, const char *probe,
                  uint64_t now_ms)
{
    char json[HEALTH_JSON_MAX_BYTES] = "";
    const char *collector = why_collector(health, now_ms);
    cJSON *object = cJSON_CreateObject();
    bool ok = redis[0] == '\0' && broker[0] == '\0' && collector[0] == '\0' && probe[0] == '\0';
    cJSON_AddStringToObject(object, "status", ok ? "ok" : "unhealthy");
    cJSON *reasons = cJSON_AddArrayToObject(object, "reasons");
    add_reason(reasons, "redis", redis);
    add_reason(reasons, "broker", broker);
    add_reason(reasons, "collector", collector);
    add_reason(reasons, "probe", probe);
    bool printed = cJSON_PrintPreallocated(object, json, sizeof json, false);
    cJSON_Delete(object);
    if (!printed || (ok == health->ok && strcmp(json, health->json) == 0))
        return false;
    health->ok = ok;
    memcpy(health->json, json, sizeof json);
    return true;
}

void health_offline(struct health *health)
{
    health->ok = false;
    snprintf(health->json, sizeof health->json,
             "{\"status\":\"unhealthy\",\"reasons\":[\"feed: offline\"]}");
}
