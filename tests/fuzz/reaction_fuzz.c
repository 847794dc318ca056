/* reaction_parse: what it accepts is within its bounds, is read the same by cJSON where it is an
 * object, and comes out the same when written again. */
#include "core/reaction.h"
#include "fuzz.h"

#include <cjson/cJSON.h>

static struct kind_table kinds;

/* RFC 3629, by ranges of code points instead of reaction.c's ranges of bytes. */
static bool utf8_valid(const char *text, size_t bytes)
{
    const unsigned char *in = (const unsigned char *)text;
    for (size_t i = 0; i < bytes;) {
        size_t n = in[i] < 0x80       ? 1
                   : in[i] >> 5 == 6  ? 2
                   : in[i] >> 4 == 14 ? 3
                   : in[i] >> 3 == 30 ? 4
                                      : 0;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (n == 0 || n > bytes - i)
            return false;
        uint32_t code = n == 1 ? in[i] : in[i] & (0x7fu >> n);
        for (size_t k = 1; k < n; k++) {
            if (in[i + k] >> 6 != 2)
                return false;
            code = code << 6 | (in[i + k] & 63u);
        }
        if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += n;
    }
    return true;
}

static void same_by_cjson(const uint8_t *data, size_t bytes, const struct reaction *got)
{
    cJSON *object = cJSON_ParseWithLength((const char *)data, bytes);
    FUZZ_CHECK(cJSON_IsObject(object));
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(object, "reaction");
    const cJSON *age = cJSON_GetObjectItemCaseSensitive(object, "age_ms");
    const cJSON *reader = cJSON_GetObjectItemCaseSensitive(object, "reader");
    FUZZ_CHECK(cJSON_IsString(kind) && strcmp(kind->valuestring, kinds.name[got->kind]) == 0);
    FUZZ_CHECK(age == NULL ? got->age_ms == 0
                           : cJSON_IsNumber(age) && (uint32_t)age->valuedouble == got->age_ms);
    FUZZ_CHECK(reader == NULL
                   ? got->reader_bytes == 0
                   : cJSON_IsString(reader) && strlen(reader->valuestring) == got->reader_bytes &&
                         memcmp(reader->valuestring, got->reader, got->reader_bytes) == 0);
    cJSON_Delete(object);
}

/* As JSON, every byte of the reader's name that needs it escaped. */
static void same_again(const struct reaction *got)
{
    char text[REACTION_PAYLOAD_MAX_BYTES * 4];
    struct reaction again;
    int used = snprintf(text, sizeof text, "{\"age_ms\" : %u,\"reaction\":\"%s\"", got->age_ms,
                        kinds.name[got->kind]);
    if (got->reader_bytes > 0) {
        used += snprintf(text + used, sizeof text - (size_t)used, ",\n\"reader\":\"");
        for (size_t i = 0; i < got->reader_bytes; i++) {
            unsigned char c = (unsigned char)got->reader[i];
            bool plain = c >= 0x20 && c != '"' && c != '\\';
            used += snprintf(text + used, sizeof text - (size_t)used, plain ? "%c" : "\\u%04x", c);
        }
        text[used++] = '"';
    }
    text[used++] = '}';
    if (used > REACTION_PAYLOAD_MAX_BYTES)
        return;
    FUZZ_CHECK(reaction_parse(text, (size_t)used, &kinds, &again) == REASON_NONE);
    FUZZ_CHECK(again.kind == got->kind && again.age_ms == got->age_ms &&
               again.reader_bytes == got->reader_bytes &&
               memcmp(again.reader, got->reader, got->reader_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct reaction got;
    if (kinds.n == 0 &&
        kind_table_parse(&kinds, "like,dislike,love,funny,angry,sad,wow", NULL) != 0)
        abort();
    enum reason reason = reaction_parse(data, bytes, &kinds, &got);
    FUZZ_CHECK(reason == REASON_NONE || reason == REASON_BAD_PAYLOAD ||
               reason == REASON_UNKNOWN_KIND);
    if (bytes > REACTION_PAYLOAD_MAX_BYTES)
        FUZZ_CHECK(reason == REASON_BAD_PAYLOAD);
    size_t line = bytes; /* without one line end */
    if (line > 0 && data[line - 1] == '\n')
        line -= line > 1 && data[line - 2] == '\r' ? 2 : 1;
    if (line == 0)
        FUZZ_CHECK(reason == REASON_NONE && got.kind == KIND_NONE);
    if (bytes <= REACTION_PAYLOAD_MAX_BYTES && kind_name_valid((const char *)data, line))
        FUZZ_CHECK((reason == REASON_NONE) ==
                   (kind_find(&kinds, (const char *)data, line) != KIND_UNKNOWN));
    if (reason != REASON_NONE)
        return 0;
    FUZZ_CHECK(got.kind >= 0 && got.kind <= kinds.n && got.age_ms <= REACTION_AGE_MAX_MS);
    FUZZ_CHECK(got.reader_bytes <= REACTION_READER_MAX_BYTES &&
               memchr(got.reader, 0, got.reader_bytes) == NULL &&
               utf8_valid(got.reader, got.reader_bytes));
    if (line > 0 && !kind_name_valid((const char *)data, line))
        same_by_cjson(data, bytes, &got);
    same_again(&got);
    return 0;
}
