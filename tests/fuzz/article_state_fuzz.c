/* article_state_parse: what it accepts is within its bounds, is an object that cJSON reads the same
 * unless it is a word, comes out the same when written again, and changes only when it says. */
#include "core/article_state.h"
#include "fuzz.h"

#include <cjson/cJSON.h>

#define ARTICLE "world/x"

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    FUZZ_CHECK(item == NULL || cJSON_IsString(item));
    return item == NULL ? NULL : item->valuestring;
}

static void same_by_cjson(const uint8_t *data, size_t bytes, const struct article_state *got)
{
    cJSON *object = cJSON_ParseWithLength((const char *)data, bytes);
    FUZZ_CHECK(cJSON_IsObject(object));
    const char *state = text_of(object, "state"), *results = text_of(object, "results");
    const cJSON *kinds = cJSON_GetObjectItemCaseSensitive(object, "kinds");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(object, "version");
    FUZZ_CHECK(got->closed == (state != NULL && strcmp(state, "closed") == 0));
    FUZZ_CHECK(got->after_close == (results != NULL && strcmp(results, "after_close") == 0));
    FUZZ_CHECK((text_of(object, "opens_at") != NULL) == (got->opens_at_ms != 0));
    FUZZ_CHECK((text_of(object, "closes_at") != NULL) == (got->closes_at_ms != 0));
    FUZZ_CHECK(cJSON_GetArraySize(kinds) == got->kinds);
    for (int i = 0; i < got->kinds; i++)
        FUZZ_CHECK(strcmp(cJSON_GetArrayItem(kinds, i)->valuestring, got->kind[i]) == 0);
    FUZZ_CHECK(version == NULL ? got->version == 0
                               : (uint64_t)version->valuedouble == got->version);
    cJSON_Delete(object);
}

static void same_again(const struct article_state *got, bool with_article)
{
    char text[ARTICLE_STATE_TEXT_MAX_BYTES];
    struct article_state again;
    size_t bytes = article_state_write(got, with_article ? ARTICLE : NULL, strlen(ARTICLE),
                                       got->open, text, sizeof text);
    FUZZ_CHECK(bytes > 0 && bytes == strlen(text));
    FUZZ_CHECK(article_state_parse(&again, ARTICLE, strlen(ARTICLE), text, bytes) == 0);
    if (!with_article)
        again.open = got->open;
    FUZZ_CHECK(memcmp(&again, got, sizeof again) == 0);
}

/* From each change to the next nothing changes, and there are two at most. */
static void changes_when_it_says(const struct article_state *got)
{
    uint64_t at = 0;
    for (int changes = 0;; changes++) {
        uint64_t next = article_state_next_change(got, at);
        bool open = article_state_open_at(got, at), hides = article_state_hides(got, at);
        FUZZ_CHECK(changes <= 2 && next > at);
        FUZZ_CHECK(article_state_open_at(got, next - 1) == open &&
                   article_state_hides(got, next - 1) == hides);
        if (next == ARTICLE_STATE_NEVER)
            return;
        FUZZ_CHECK(article_state_open_at(got, next) != open);
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct article_state got;
    bool parsed = article_state_parse(&got, ARTICLE, strlen(ARTICLE), data, bytes) == 0;
    size_t line = bytes; /* without one line end */
    if (line > 0 && data[line - 1] == '\n')
        line -= line > 1 && data[line - 2] == '\r' ? 2 : 1;
    bool word = (line == 4 && memcmp(data, "open", 4) == 0) ||
                (line == 6 && memcmp(data, "closed", 6) == 0);
    FUZZ_CHECK(parsed || !word);
    FUZZ_CHECK(!parsed || bytes <= ARTICLE_STATE_PAYLOAD_MAX_BYTES);
    if (!parsed)
        return 0;
    FUZZ_CHECK(got.kinds <= KIND_MAX);
    FUZZ_CHECK(got.closes_at_ms == 0 || got.closes_at_ms > got.opens_at_ms);
    if (!word)
        same_by_cjson(data, bytes, &got);
    same_again(&got, false);
    if (got.version > 0)
        same_again(&got, true);
    changes_when_it_says(&got);
    return 0;
}
