/* Writes one article, or a list, and hashes the body for its tag. */
#include "totals_answer.h"

#include "core/fnv.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static bool is_hidden(const struct lookup_total *total, uint64_t unix_ms)
{
    return total->state != NULL && article_state_hides(total->state, unix_ms);
}

static cJSON *no_total(const char *article, const char *error)
{
    cJSON *object = cJSON_CreateObject();
    if (cJSON_AddStringToObject(object, "article", article) == NULL ||
        cJSON_AddStringToObject(object, "error", error) == NULL) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static cJSON *one_json(const struct totals_answer *answer, const struct route_article *asked,
                       const struct lookup_total *total)
{
    if (asked->bad)
        return no_total(asked->id, "bad_article");
    if (total->outcome == LOOKUP_BAD)
        return no_total(asked->id, "damaged");
    if (total->outcome == LOOKUP_AWAY)
        return no_total(asked->id, "away");
    if (is_hidden(total, answer->unix_ms))
        return total_json_hidden(total->article, total->article_bytes);
    return total_json(total->article, total->article_bytes, &total->total, answer->kinds);
}

char *totals_answer_json(const struct totals_answer *answer)
{
    const struct lookup_total *total = answer->found;
    char *text = NULL;
    cJSON *object = answer->list ? cJSON_CreateObject() : NULL;
    cJSON *array = answer->list ? cJSON_AddArrayToObject(object, "totals") : NULL;
    for (size_t i = 0; i < answer->asked_n; i++) {
        const struct route_article *asked = &answer->asked[i];
        cJSON *one = one_json(answer, asked, total);
        if (!asked->bad)
            total++;
        if (one == NULL)
            goto out;
        if (!answer->list)
            object = one;
        else if (!cJSON_AddItemToArray(array, one)) {
            cJSON_Delete(one);
            goto out;
        }
    }
    text = cJSON_PrintUnformatted(object);
out:
    cJSON_Delete(object);
    return text;
}

void totals_answer_etag(const struct totals_answer *answer, char etag[TOTALS_ANSWER_ETAG_BYTES])
{
    const struct lookup_total *total = answer->found;
    uint64_t hash = fnv_add(FNV_START, answer->kinds, sizeof *answer->kinds);
    for (size_t i = 0; i < answer->asked_n; i++) {
        const struct route_article *asked = &answer->asked[i];
        uint64_t version = UINT64_MAX - 1; /* no total */
        if (!asked->bad) {
            /* Changes behind a hidden total must not show; 0 are zeros. */
            if (total->outcome == LOOKUP_AWAY)
                version = UINT64_MAX - 2;
            else if (total->outcome != LOOKUP_BAD)
                version = is_hidden(total, answer->unix_ms) ? UINT64_MAX : total->total.version;
            total++;
        }
        hash = fnv_add(hash, asked->id, asked->bytes + 1);
        hash = fnv_add(hash, &version, sizeof version);
    }
    snprintf(etag, TOTALS_ANSWER_ETAG_BYTES, "\"%.8s-%016" PRIx64 "\"", answer->store, hash);
}
