/* Writes into a bounded buffer, and reports what does not fit. */
#include "total_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool total_json_kinds_known(const struct total *total, const struct kinds *kinds)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (total->count[id] != 0 && kinds->name[id][0] == '\0')
            return false;
    return true;
}

/* Whole numbers, exactly: cJSON's own are doubles. */
static bool add_whole(cJSON *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

cJSON *total_json(const char *article, size_t bytes, const struct total *total,
                  const struct kinds *kinds)
{
    char text[256], time[TOTAL_TIME_BYTES];
    int64_t sum = 0;
    if (bytes >= sizeof text)
        return NULL;
    memcpy(text, article, bytes);
    text[bytes] = '\0';
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0' && __builtin_add_overflow(sum, total->count[id], &sum))
            sum = total->count[id] < 0 ? INT64_MIN : INT64_MAX;

    cJSON *object = cJSON_CreateObject();
    if (object == NULL || cJSON_AddStringToObject(object, "article", text) == NULL ||
        !add_whole(object, "total", sum))
        goto fail;
    cJSON *counts = cJSON_AddObjectToObject(object, "counts");
    if (counts == NULL)
        goto fail;
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0' && !add_whole(counts, kinds->name[id], total->count[id]))
            goto fail;
    if (!add_whole(object, "version", (int64_t)total->version))
        goto fail;
    if (total->version > 0) {
        total_time(total->version, time);
        if (cJSON_AddStringToObject(object, "updated_at", time) == NULL)
            goto fail;
    }
    return object;
fail:
    cJSON_Delete(object);
    return NULL;
}

cJSON *total_json_hidden(const char *article, size_t bytes)
{
    char text[256];
    if (bytes >= sizeof text)
        return NULL;
    memcpy(text, article, bytes);
    text[bytes] = '\0';
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || cJSON_AddStringToObject(object, "article", text) == NULL ||
        cJSON_AddTrueToObject(object, "hidden") == NULL) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

bool total_json_version(const char *payload, size_t bytes, uint64_t *version)
{
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(payload, bytes) : NULL;
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, "version");
    bool good = cJSON_IsNumber(number) && number->valuedouble >= 1 &&
                number->valuedouble <= 9007199254740991.0;
    if (good)
        *version = (uint64_t)number->valuedouble;
    cJSON_Delete(object);
    return good;
}
