/* Checks the words of a call before anything is done with them. */
#include "call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_MAX (INT64_C(1) << 53) /* versions are exact up to here */
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

static int read_articles(struct call *call, const struct words *words, int argc)
{
    if ((argc - CALL_FIRST_ARTICLE) % 2 != 0)
        return call_wrong(words, argc, "the votes of the article before it");
    call->article = words->argv + CALL_FIRST_ARTICLE;
    call->articles = (size_t)(argc - CALL_FIRST_ARTICLE) / 2;
    call->votes = 0;
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
