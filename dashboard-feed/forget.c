/* Asks Redis about the articles that the plugin lists, a few at a time, and sweeps one shard after
 * another. */
#include "forget.h"

#include "core/article.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "script.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKING_MAX 8     /* scripts under way */
#define SWEEP_MIN_MS 250 /* between two sweeps; after one that left something */
#define SWEEP_MAX_MS 15000
#define SWEEP_MAX "100" /* articles at once */
#define QUIET_MAX_S (UINT64_C(87600) * 3600)

extern const unsigned char forget_lua[], sweep_lua[];
extern const unsigned long forget_lua_bytes, sweep_lua_bytes;

struct forget {
    struct store_link *link;
    struct publish *publish;
    struct event *sweep;
    char forgotten_s[24];
    uint64_t sweep_ms;
    uint32_t shard; /* that is swept next */
    bool sweeping;
    unsigned asking;
    struct forget_list list;
    size_t next; /* of the list */
};

/* One request. */
struct asked {
    struct forget *forget;
    size_t bytes;
    char article[ARTICLE_MAX_BYTES + 1];
};

/* ---- what the plugin asks ---- */

static bool read_readers(struct forget_one *one, const cJSON *readers)
{
    const cJSON *reader;
    size_t n = 0;
    cJSON_ArrayForEach(reader, readers)
    {
        if (n == FORGET_READERS_MAX || !cJSON_IsString(reader) ||
            strlen(reader->valuestring) != 8 ||
            strspn(reader->valuestring, "0123456789abcdef") != 8)
            return false;
        memcpy(one->readers + 8 * n++, reader->valuestring, 8);
    }
    one->readers[8 * n] = '\0';
    return cJSON_IsArray(readers);
}

static bool read_one(struct forget_one *one, const cJSON *item)
{
    const cJSON *article = cJSON_GetObjectItemCaseSensitive(item, "article");
    if (!cJSON_IsString(article) ||
        !article_valid(article->valuestring, strlen(article->valuestring)))
        return false;
    one->bytes = strlen(article->valuestring);
    memcpy(one->article, article->valuestring, one->bytes + 1);
    return read_readers(one, cJSON_GetObjectItemCaseSensitive(item, "readers"));
}

int forget_parse(struct forget_list *list, const char *json, size_t bytes)
{
    cJSON *object = bytes > 0 ? cJSON_ParseWithLength(json, bytes) : NULL;
    const cJSON *quiet_s = cJSON_GetObjectItemCaseSensitive(object, "quiet_s");
    const cJSON *articles = cJSON_GetObjectItemCaseSensitive(object, "articles");
    const cJSON *item;
    int result = -1;
    list->n = 0;
    if (!cJSON_IsNumber(quiet_s) || !(quiet_s->valuedouble >= 1) ||
        quiet_s->valuedouble > (double)QUIET_MAX_S || !cJSON_IsArray(articles))
        goto out;
    list->quiet_s = (uint64_t)quiet_s->valuedouble;
    cJSON_ArrayForEach(item, articles)
    {
        if (list->n == FORGET_LIST_MAX || !read_one(&list->one[list->n], item))
            goto out;
        list->n++;
    }
    result = 0;
out:
    if (result != 0)
        list->n = 0;
    cJSON_Delete(object);
    return result;
}

/* ---- asking Redis ---- */

static void forget_ask(struct forget *forget);

/* The answer's word; NULL where the script failed, which it logs if Redis refused it. */
static const char *forget_word(const struct script_answer *answer)
{
    if (answer->word == NULL && answer->text != NULL)
        log_line(LOG_LEVEL_WARNING, "a script was refused", "reason=%s", answer->text);
    return answer->word;
}

/* Every feed, including this one, hears of a forgotten article as of any other change. */
static void on_answer(void *user, const struct script_answer *answer)
{
    struct asked *asked = user;
    struct forget *forget = asked->forget;
    const char *word = forget_word(answer);
    forget->asking--;
    if (word != NULL && strcmp(word, "none") == 0)
        (void)publish_no_total(forget->publish, asked->article, asked->bytes);
    else if (word != NULL && strcmp(word, "real") == 0)
        (void)publish_real(forget->publish, asked->article, asked->bytes);
    else if (word != NULL && strcmp(word, "error") == 0)
        log_line(LOG_LEVEL_WARNING, "cannot forget a quiet article", "article=%s", asked->article);
    forget_ask(forget);
    free(asked);
}

static int forget_ask_one(struct forget *forget, const struct forget_one *one)
{
    static const char *const names[] = {"heads", "base", "changed", "meta", "states", "forgotten"};
    char number[12], quiet_s[24];
    uint32_t shard = article_shard(one->article, one->bytes, store_link_shards(forget->link));
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL)
        return -1;
    asked->forget = forget;
    asked->bytes = one->bytes;
    memcpy(asked->article, one->article, one->bytes + 1);
    snprintf(number, sizeof number, "%" PRIu32, shard);
    snprintf(quiet_s, sizeof quiet_s, "%" PRIu64, forget->list.quiet_s);
    const struct script_text arguments[] = {{one->article, one->bytes},
                                            {number, strlen(number)},
                                            {quiet_s, strlen(quiet_s)},
                                            {one->readers, strlen(one->readers)}};
    const struct script_call call = {.script = {(const char *)forget_lua, (size_t)forget_lua_bytes},
                                     .shard = shard,
                                     .names = names,
                                     .keys = 6,
                                     .arguments = arguments,
                                     .n = 4};
    if (script_run(forget->link, &call, on_answer, asked) != 0) {
        free(asked);
        return -1;
    }
    forget->asking++;
    return 0;
}

/* Shards that are away are not asked: the plugin repeats its lists. */
static void forget_ask(struct forget *forget)
{
    while (forget->asking < ASKING_MAX && forget->next < forget->list.n &&
           store_link_ready(forget->link) && publish_ready(forget->publish))
        (void)forget_ask_one(forget, &forget->list.one[forget->next++]);
}

void forget_heard(struct forget *forget, const char *json, size_t bytes)
{
    forget->next = 0;
    if (forget_parse(&forget->list, json, bytes) != 0)
        log_line(LOG_LEVEL_WARNING, "cannot parse ops/quiet as a list of articles", "bytes=%zu",
                 bytes);
    forget_ask(forget);
}

/* ---- sweeping ---- */

static void on_swept(void *user, const struct script_answer *answer)
{
    struct forget *forget = user;
    const char *word = forget_word(answer);
    forget->sweeping = false;
    if (word != NULL && strcmp(word, "more") == 0)
        events_arm(forget->sweep, SWEEP_MIN_MS);
    else
        forget->shard++;
}

static void on_sweep(evutil_socket_t fd, short what, void *user)
{
    static const char *const names[] = {"heads", "changed", "meta", "forgotten"};
    struct forget *forget = user;
    const struct script_text arguments[] = {{forget->forgotten_s, strlen(forget->forgotten_s)},
                                            {SWEEP_MAX, strlen(SWEEP_MAX)}};
    (void)fd;
    (void)what;
    events_arm(forget->sweep, forget->sweep_ms);
    if (forget->link == NULL || !store_link_ready(forget->link) || forget->sweeping)
        return;
    forget->shard %= store_link_shards(forget->link);
    const struct script_call call = {.script = {(const char *)sweep_lua, (size_t)sweep_lua_bytes},
                                     .shard = forget->shard,
                                     .names = names,
                                     .keys = 4,
                                     .arguments = arguments,
                                     .n = 2};
    forget->sweeping = script_run(forget->link, &call, on_swept, forget) == 0;
    if (!forget->sweeping)
        forget->shard++; /* it is away */
}

/* ---- making ---- */

struct forget *forget_new(struct event_base *base, uint64_t forgotten_s)
{
    struct forget *forget = calloc(1, sizeof *forget);
    if (forget == NULL)
        return NULL;
    snprintf(forget->forgotten_s, sizeof forget->forgotten_s, "%" PRIu64, forgotten_s);
    forget->sweep_ms = forgotten_s * 1000 / 16;
    if (forget->sweep_ms < SWEEP_MIN_MS)
        forget->sweep_ms = SWEEP_MIN_MS;
    if (forget->sweep_ms > SWEEP_MAX_MS)
        forget->sweep_ms = SWEEP_MAX_MS;
    forget->sweep = evtimer_new(base, on_sweep, forget);
    if (forget->sweep == NULL || events_arm(forget->sweep, forget->sweep_ms) != 0) {
        forget_free(forget);
        return NULL;
    }
    return forget;
}

void forget_connect(struct forget *forget, struct store_link *link, struct publish *publish)
{
    forget->link = link;
    forget->publish = publish;
}

void forget_free(struct forget *forget)
{
    if (forget == NULL)
        return;
    events_free(forget->sweep);
    free(forget);
}
