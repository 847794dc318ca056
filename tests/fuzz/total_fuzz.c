/* Heads and bases out of Redis, and the JSON of the total they make. The input's first byte says
 * how long the head is. */
#include "core/total.h"
#include "fuzz.h"
#include "total_json.h"

#include <inttypes.h>

static void check_json(const struct total *total)
{
    static const char article[] = "a/b%25";
    struct kinds kinds = {0};
    char expected[TOTAL_TIME_BYTES];
    for (int id = 1; id <= KIND_MAX; id++)
        snprintf(kinds.name[id], sizeof kinds.name[id], "kind-%d", id);
    cJSON *made = total_json(article, strlen(article), total, &kinds);
    char *text = cJSON_PrintUnformatted(made);
    FUZZ_CHECK(text != NULL);
    cJSON *read = cJSON_Parse(text);
    FUZZ_CHECK(cJSON_IsObject(read) &&
               cJSON_GetArraySize(cJSON_GetObjectItem(read, "counts")) == KIND_MAX);
    FUZZ_CHECK(strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(read, "article")), article) == 0);
    const cJSON *at = cJSON_GetObjectItem(read, "updated_at");
    FUZZ_CHECK((at != NULL) == (total->version > 0));
    total_time(total->version, expected);
    FUZZ_CHECK(at == NULL || strcmp(cJSON_GetStringValue(at), expected) == 0);
    cJSON_Delete(read);
    cJSON_free(text);
    cJSON_Delete(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    struct total total, before;
    size_t head_bytes = fuzz_number(&in, 1);
    if (head_bytes > in.left)
        head_bytes = in.left;
    unsigned char *head = malloc(head_bytes + 1), *base = malloc(in.left - head_bytes + 1);
    if (head == NULL || base == NULL)
        abort();
    fuzz_take(&in, head, head_bytes);
    size_t base_bytes = fuzz_take(&in, base, in.left);

    memset(&total, 0, sizeof total);
    if (total_parse_head(&total, head, head_bytes) == 0) {
        FUZZ_CHECK(head_bytes <= TOTAL_HEAD_MAX_BYTES && total_sum(&total) >= 0 &&
                   total_sum(&total) <= (int64_t)KIND_MAX * UINT32_MAX);
        FUZZ_CHECK(total_parse_head(&before, head, head_bytes) == 0 &&
                   memcmp(&before, &total, sizeof total) == 0);
        for (size_t cut = 0; cut < head_bytes; cut++)
            FUZZ_CHECK(total_parse_head(&before, head, cut) == -1);
    } else {
        memset(&total, 0, sizeof total);
    }
    before = total;
    if (total_add_base(&total, base, base_bytes) == 0)
        FUZZ_CHECK(base_bytes >= 2 && total.version == before.version);
    else
        FUZZ_CHECK(memcmp(&before, &total, sizeof total) == 0);
    check_json(&total);
    free(head);
    free(base);
    return 0;
}
