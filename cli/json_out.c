/* Without memory nothing is printed: cJSON_PrintUnformatted then returns NULL. */
#include "json_out.h"

#include <inttypes.h>

void json_out_whole(cJSON *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    cJSON_AddRawToObject(object, name, text);
}

void json_out_hex(cJSON *object, const char *name, uint64_t value)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, value);
    cJSON_AddStringToObject(object, name, text);
}

void json_out_print(cJSON *object, FILE *out)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(object);
}
