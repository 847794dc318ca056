/* Reads the members of ops/refusals with cJSON. Missing or malformed ones count as zero. */
#include "creation.h"

#include <cjson/cJSON.h>
#include <string.h>

#define COUNT_MAX 9007199254740992.0

static double creation_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    /* cJSON reads 1e999 as infinite, and a count is exact up to 2^53. */
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= COUNT_MAX
               ? item->valuedouble
               : 0;
}

const char *creation_cause_name(enum creation_cause cause)
{
    static const char *const names[] = {"off", "reader", "address", "rate", "full"};
    return names[cause];
}

int creation_parse(struct creation *creation, const char *json, size_t bytes)
{
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(json, bytes) : NULL;
    const cJSON *told = cJSON_GetObjectItemCaseSensitive(object, "creation");
    int result = -1;
    if (cJSON_IsObject(told)) {
        const cJSON *refused = cJSON_GetObjectItemCaseSensitive(told, "refused");
        creation->heard = true;
        creation->known = creation_number(told, "known");
        creation->max = creation_number(told, "max");
        creation->provisional = creation_number(told, "provisional");
        creation->made = creation_number(told, "made");
        creation->forgotten = creation_number(told, "forgotten");
        for (int cause = 0; cause < CREATION_CAUSES; cause++)
            creation->refused[cause] =
                creation_number(refused, creation_cause_name((enum creation_cause)cause));
        result = 0;
    }
    cJSON_Delete(object);
    return result;
}
