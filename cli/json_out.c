/* cJSON copies the bytes of a string as they are. Without memory nothing is printed:
 * cJSON_PrintUnformatted then returns NULL. */
#include "json_out.h"

#include "core/scan.h"

#include <inttypes.h>
#include <string.h>

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

/* What somebody stored may be broken UTF-8; JSON must not. */
static void json_out_mend(char *text)
{
    unsigned char *at = (unsigned char *)text, *end = at + strlen(text);
    while (at < end) {
        const size_t bytes = *at < 0x80 ? 1 : scan_utf8(at, end);
        if (bytes == 0)
            *at = '?';
        at += bytes > 0 ? bytes : 1;
    }
}

void json_out_print(cJSON *object, FILE *out)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL) {
        json_out_mend(text);
        fprintf(out, "%s\n", text);
    }
    cJSON_free(text);
    cJSON_Delete(object);
}
