/* Parses the JSON with cJSON, and refuses what is missing or malformed. */
#include "shown.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define WHOLE_MAX 9007199254740992.0

/* A whole number that a double holds exactly. */
static bool shown_whole(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > WHOLE_MAX ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (int64_t)item->valuedouble;
    return true;
}

static int kind_id(const struct audit_kinds *kinds, const char *name)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (strcmp(kinds->name[id], name) == 0)
            return id;
    return 0;
}

static bool read_counts(struct audit_shown *out, const struct audit_kinds *kinds,
                        const cJSON *counts)
{
    const cJSON *one;
    if (!cJSON_IsObject(counts))
        return false;
    cJSON_ArrayForEach(one, counts)
    {
        int64_t value;
        if (!shown_whole(one, &value))
            return false;
        int id = kind_id(kinds, one->string);
        if (id != 0)
            out->count[id] += value;
        else
            out->strange += value != 0 ? 1 : 0;
    }
    return true;
}

void shown_read(struct audit_shown *out, const char *article, const struct audit_kinds *kinds,
                const char *json, size_t bytes)
{
    int64_t version = 0;
    memset(out, 0, sizeof *out);
    out->there = true;
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(json, bytes) : NULL;
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "article");
    bool of_it = cJSON_IsString(name) && strcmp(name->valuestring, article) == 0;
    out->hidden = of_it && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "hidden"));
    if (out->hidden) {
        out->understood = true;
        goto out;
    }
    out->understood =
        of_it && shown_whole(cJSON_GetObjectItemCaseSensitive(object, "version"), &version) &&
        version >= 0 && shown_whole(cJSON_GetObjectItemCaseSensitive(object, "total"), &out->sum) &&
        read_counts(out, kinds, cJSON_GetObjectItemCaseSensitive(object, "counts"));
    out->version = (uint64_t)version;
out:
    cJSON_Delete(object);
}
