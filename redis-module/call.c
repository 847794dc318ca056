/* Checks the words of a call before anything is done with them. */
#include "call.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_MAX (INT64_C(1) << 53) /* versions are exact up to here */
#define PACKED_BYTES 3            /* before each packed article */
#define HEADS "heads"
#define HEADS_BYTES 5

enum {
    RING = CALL_LAST_KEY + 1,
    FROM,
    TO,
    QUARANTINED,
    LOST,
    EDGE,
    THRESHOLD,
    SHARD,
    RENEW,
    STORE
};

struct words {
    const struct module_api *api;
    RedisModuleString **argv;
    char *error;
};

static int call_wrong(const struct words *words, int at, const char *must)
{
    snprintf(words->error, CALL_ERROR_BYTES, "ERR TALLY.REGISTER: argument %d must be %s", at,
             must);
    return -1;
}

static bool is_text(const struct words *words, int at, const char *text)
{
    size_t bytes;
    const char *found = words->api->string_ptr_len(words->argv[at], &bytes);
    return bytes == strlen(text) && memcmp(found, text, bytes) == 0;
}

static int read_bytes(const struct words *words, int at, size_t want, const unsigned char **out)
{
    size_t bytes;
    *out = (const unsigned char *)words->api->string_ptr_len(words->argv[at], &bytes);
    return bytes == want ? 0 : call_wrong(words, at, want == 8 ? "8 bytes" : "16 bytes");
}

static int read_number(const struct words *words, int at, int64_t min, int64_t max, uint64_t *out)
{
    long long number;
    if (words->api->string_to_long_long(words->argv[at], &number) != MODULE_API_OK ||
        number < min || number > max)
        return call_wrong(words, at, "a number that fits");
    *out = (uint64_t)number;
    return 0;
}

static int read_clock(struct call *call, const struct words *words)
{
    struct timespec now;
    if (!is_text(words, CALL_CLOCK, "now"))
        return read_number(words, CALL_CLOCK, 1, US_MAX, &call->clock_us);
    clock_gettime(CLOCK_REALTIME, &now);
    call->clock_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    return 0;
}

static int read_keys(struct call *call, const struct words *words)
{
    size_t bytes;
    if (!is_text(words, CALL_FIRST_KEY - 1, "4"))
        return call_wrong(words, CALL_FIRST_KEY - 1, "4, the number of keys");
    call->heads = words->argv[CALL_FIRST_KEY];
    call->changed = words->argv[CALL_FIRST_KEY + 1];
    call->meta = words->argv[CALL_FIRST_KEY + 2];
    call->rings = words->argv[CALL_LAST_KEY];
    call->prefix = words->api->string_ptr_len(call->heads, &bytes);
    if (bytes < HEADS_BYTES || bytes > CALL_PREFIX_MAX_BYTES + HEADS_BYTES ||
        memcmp(call->prefix + bytes - HEADS_BYTES, HEADS, HEADS_BYTES) != 0)
        return call_wrong(words, CALL_FIRST_KEY, "the key of a shard's heads");
    call->prefix_bytes = bytes - HEADS_BYTES;
    return 0;
}

/* The article at `at`: its name follows the first PACKED_BYTES. Returns where the next begins, or
 * NULL if it does not end before `end`. */
static const unsigned char *packed_next(const unsigned char *at, const unsigned char *end,
                                        size_t *votes)
{
    if (end - at < PACKED_BYTES)
        return NULL;
    *votes = bytes_get_u16(at + 1);
    size_t bytes = PACKED_BYTES + at[0] + *votes * CALL_VOTE_BYTES;
    return (size_t)(end - at) >= bytes ? at + bytes : NULL;
}

static int read_packed(struct call *call, const struct words *words)
{
    size_t bytes, votes;
    const char *packed = words->api->string_ptr_len(call->article[0], &bytes);
    const unsigned char *at = (const unsigned char *)packed, *end = at + bytes;
    call->packed = true;
    for (; at < end; call->articles++, call->votes += votes) {
        at = packed_next(at, end, &votes);
        if (at == NULL)
            return call_wrong(words, CALL_FIRST_ARTICLE, "packed articles");
    }
    return 0;
}

static int read_articles(struct call *call, const struct words *words, int argc)
{
    call->article = words->argv + CALL_FIRST_ARTICLE;
    call->articles = call->votes = 0;
    call->packed = false;
    if (argc == CALL_FIRST_ARTICLE + 1)
        return read_packed(call, words);
    if ((argc - CALL_FIRST_ARTICLE) % 2 != 0)
        return call_wrong(words, argc, "the votes of the article before it");
    call->articles = (size_t)(argc - CALL_FIRST_ARTICLE) / 2;
    for (int at = CALL_FIRST_ARTICLE + 1; at < argc; at += 2) {
        size_t bytes;
        words->api->string_ptr_len(words->argv[at], &bytes);
        if (bytes % CALL_VOTE_BYTES != 0)
            return call_wrong(words, at, "votes of 15 bytes each");
        call->votes += bytes / CALL_VOTE_BYTES;
    }
    return 0;
}

int call_read(struct call *call, const struct module_api *api, RedisModuleString **argv, int argc,
              char error[CALL_ERROR_BYTES])
{
    const struct words words = {api, argv, error};
    if (argc < CALL_FIRST_ARTICLE) {
        snprintf(error, CALL_ERROR_BYTES, "ERR TALLY.REGISTER: %d arguments are missing",
                 CALL_FIRST_ARTICLE - argc);
        return -1;
    }
    call->ring = argv[RING];
    call->shard = argv[SHARD];
    call->renew = is_text(&words, RENEW, "1");
    call->store = api->string_ptr_len(argv[STORE], &call->store_bytes);
    if (read_clock(call, &words) != 0 || read_keys(call, &words) != 0 ||
        read_bytes(&words, FROM, 8, &call->from) != 0 ||
        read_bytes(&words, TO, 16, &call->to) != 0 ||
        read_number(&words, QUARANTINED, 0, INT64_MAX, &call->quarantined) != 0 ||
        read_number(&words, LOST, 0, INT64_MAX, &call->lost) != 0 ||
        read_bytes(&words, EDGE, 8, &call->edge) != 0 ||
        read_number(&words, THRESHOLD, 1, UINT32_MAX, &call->threshold) != 0)
        return -1;
    return read_articles(call, &words, argc);
}

/* --- its articles --- */

void call_articles_begin(struct call_articles *articles, const struct call *call,
                         const struct module_api *api)
{
    size_t bytes;
    *articles = (struct call_articles){.call = call, .api = api};
    if (call->packed)
        articles->at = (const unsigned char *)api->string_ptr_len(call->article[0], &bytes);
}

void call_articles_end(struct call_articles *articles)
{
    if (articles->call->packed && articles->name != NULL)
        articles->api->free_string(NULL, articles->name);
    articles->name = NULL;
}

static void unpack_article(struct call_articles *articles)
{
    const unsigned char *name = articles->at + PACKED_BYTES;
    articles->name = articles->api->create_string(NULL, (const char *)name, articles->at[0]);
    articles->votes = name + articles->at[0];
    articles->votes_bytes = (size_t)bytes_get_u16(articles->at + 1) * CALL_VOTE_BYTES;
    articles->at = articles->votes + articles->votes_bytes;
}

bool call_articles_next(struct call_articles *articles)
{
    const struct call *call = articles->call;
    call_articles_end(articles);
    if (articles->next == call->articles)
        return false;
    if (call->packed) {
        unpack_article(articles);
    } else {
        articles->name = call->article[2 * articles->next];
        articles->votes = (const unsigned char *)articles->api->string_ptr_len(
            call->article[2 * articles->next + 1], &articles->votes_bytes);
    }
    articles->next++;
    return true;
}

/* The bytes of all articles, or 0 if one does not fit. */
static size_t packed_bytes(struct call_articles *articles)
{
    size_t bytes = 0, name_bytes;
    while (call_articles_next(articles)) {
        articles->api->string_ptr_len(articles->name, &name_bytes);
        if (name_bytes > UINT8_MAX || articles->votes_bytes / CALL_VOTE_BYTES > UINT16_MAX)
            bytes = SIZE_MAX;
        else if (bytes != SIZE_MAX)
            bytes += PACKED_BYTES + name_bytes + articles->votes_bytes;
    }
    return bytes != SIZE_MAX ? bytes : 0;
}

unsigned char *call_pack(const struct call *call, const struct module_api *api, size_t *bytes)
{
    struct call_articles articles;
    call_articles_begin(&articles, call, api);
    *bytes = packed_bytes(&articles);
    if (*bytes == 0)
        return NULL;
    unsigned char *packed = api->alloc(*bytes), *at = packed;
    call_articles_begin(&articles, call, api);
    while (call_articles_next(&articles)) {
        size_t name_bytes;
        const char *name = api->string_ptr_len(articles.name, &name_bytes);
        at[0] = (unsigned char)name_bytes;
        bytes_put_u16(at + 1, (uint16_t)(articles.votes_bytes / CALL_VOTE_BYTES));
        memcpy(at + PACKED_BYTES, name, name_bytes);
        at += PACKED_BYTES + name_bytes;
        memcpy(at, articles.votes, articles.votes_bytes);
        at += articles.votes_bytes;
    }
    return packed;
}
