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
    /* cJSON reads 1e999 as infinite, which no count is. */
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = collector_status_member(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
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
        for (int reason = 0; reason < REASON_COUNT; reason++)
            status->refused[reason] = collector_status_number(refused, reason_name(reason));
    }
    cJSON_Delete(object);
    return 0;
}
