/* Checks position, store and pause before a call is applied, and writes heads, versions and
 * position. */
#include "shard.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSITION_BYTES 40
#define PAUSE_MAX_US 2000000
#define PAUSE_DIGITS_MAX 18
#define PAUSE_BYTES 64
#define DECIMAL_BYTES 24

/* --- the keys before a call --- */

static RedisModuleString *meta_field(struct shard *shard, const char *name)
{
    RedisModuleString *value = NULL;
    shard->keys->api->hash_get(shard->meta.key, MODULE_API_HASH_CFIELDS, name, &value, NULL);
    return value;
}

/* A counter in meta; 0 without the field. Returns 0, or -1 if it is not that. */
static int meta_number(struct shard *shard, const char *name, int64_t max, uint64_t *out)
{
    RedisModuleString *text = meta_field(shard, name);
    long long number = 0;
    int rc = 0;
    if (text != NULL && (shard->keys->api->string_to_long_long(text, &number) != MODULE_API_OK ||
                         number < 0 || number > max))
        rc = -1;
    keys_free(shard->keys, text);
    *out = (uint64_t)number;
    return rc;
}

/* Returns whether the call begins at the ring's position. */
static bool at_position(struct shard *shard, struct answer *answer)
{
    static const unsigned char none[8];
    const struct call *call = shard->call;
    const char *stored = (const char *)none;
    size_t bytes = sizeof none;
    if (!keys_is_hash(shard->keys, &shard->rings)) {
        answer_error(answer, KEYS_WRONG_TYPE, 0);
        return false;
    }
    shard->stored = keys_hash_get(shard->keys, &shard->rings, call->ring);
    if (shard->stored != NULL)
        stored = shard->keys->api->string_ptr_len(shard->stored, &bytes);
    if (bytes < 8 || memcmp(stored, call->from, 8) != 0) {
        answer->what = ANSWER_AT;
        answer->position = shard->stored;
        return false;
    }
    if (shard->stored != NULL && bytes != POSITION_BYTES) {
        answer_error(answer, "BADPOSITION a ring's position is not 40 bytes", 0);
        return false;
    }
    return true;
}

/* As collector/shard_store.lua. */
static bool of_store(struct shard *shard, struct answer *answer)
{
    const struct call *call = shard->call;
    RedisModuleString *store = meta_field(shard, "store");
    size_t bytes = 0;
    const char *id = store != NULL ? shard->keys->api->string_ptr_len(store, &bytes) : "";
    bool same = store != NULL && bytes == call->store_bytes && memcmp(id, call->store, bytes) == 0;
    if (!same)
        answer->what = ANSWER_STORE;
    if (!same && store != NULL)
        snprintf(answer->text, sizeof answer->text,
                 "store: its data belongs to %.*s, not to %.*s; to count into it run the collector "
                 "once with --adopt",
                 (int)bytes, id, (int)call->store_bytes, call->store);
    else if (!same)
        snprintf(answer->text, sizeof answer->text,
                 "store: its data is gone, or names no store; to count into it run the collector "
                 "once with --adopt");
    keys_free(shard->keys, store);
    return same;
}

/* Reads digits and the space behind them. Returns what follows, or NULL. */
static const char *read_time(const char *text, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    *out = digits <= PAUSE_DIGITS_MAX ? strtoull(text, NULL, 10) : UINT64_MAX;
    return digits > 0 && text[digits] == ' ' ? text + digits + 1 : NULL;
}

/* For how many ms the shard's totals are being counted, at most; 0 if they are not (read_pause in
 * lib/lua/prelude.lua). */
static long long pause_ms(struct shard *shard)
{
    char text[PAUSE_BYTES];
    uint64_t from, to = 0, now = shard->clock_us;
    size_t bytes = 0;
    RedisModuleString *pause = meta_field(shard, "pause");
    const char *found = pause != NULL ? shard->keys->api->string_ptr_len(pause, &bytes) : "";
    bool whole = bytes < sizeof text && memchr(found, '\0', bytes) == NULL;
    snprintf(text, sizeof text, "%.*s", whole ? (int)bytes : 0, found);
    keys_free(shard->keys, pause);
    const char *whose = read_time(text, &from);
    if (whose != NULL)
        whose = read_time(whose, &to);
    if (whose == NULL || whose[0] == '\0' ||
        whose[strspn(whose, "0123456789abcdefABCDEF")] != '\0' || from > now || from > to ||
        to - from > PAUSE_MAX_US || now >= to)
        return 0;
    return (long long)((to - now + 999) / 1000);
}

/* Returns whether the shard takes the call. */
static bool takes(struct shard *shard, struct answer *answer)
{
    uint64_t articles;
    if (!keys_is_hash(shard->keys, &shard->meta) || !keys_is_zset(shard->keys, &shard->changed)) {
        answer_error(answer, KEYS_WRONG_TYPE, 0);
        return false;
    }
    if (!of_store(shard, answer))
        return false;
    answer->paused_ms = pause_ms(shard);
    if (answer->paused_ms > 0) {
        answer->what = ANSWER_PAUSED;
        return false;
    }
    if (shard->call->articles > 0 && !keys_is_hash(shard->keys, &shard->heads)) {
        answer_error(answer, KEYS_WRONG_TYPE, 0);
        return false;
    }
    if (meta_number(shard, "version", INT64_MAX, &shard->last_version) != 0 ||
        meta_number(shard, "articles", UINT32_MAX, &articles) != 0) {
        answer_error(answer, "BADMETA the shard's version or article number is not a number", 0);
        return false;
    }
    shard->last_number = shard->first_number = (uint32_t)articles;
    return true;
}

bool shard_open(struct shard *shard, struct keys *keys, const struct call *call,
                struct answer *answer)
{
    *shard = (struct shard){.keys = keys, .call = call, .clock_us = call->clock_us};
    shard->rings = keys_open(keys, call->rings);
    shard->meta = keys_open(keys, call->meta);
    shard->changed = keys_open(keys, call->changed);
    shard->heads = keys_open(keys, call->heads);
    return at_position(shard, answer) && takes(shard, answer);
}

void shard_close(struct shard *shard)
{
    keys_free(shard->keys, shard->stored);
    keys_close(shard->keys, &shard->heads);
    keys_close(shard->keys, &shard->changed);
    keys_close(shard->keys, &shard->meta);
    keys_close(shard->keys, &shard->rings);
}

/* --- heads --- */

int shard_head(struct shard *shard, RedisModuleString *article, struct head *head)
{
    size_t bytes;
    RedisModuleString *found = keys_hash_get(shard->keys, &shard->heads, article);
    if (found == NULL) {
        *head = (struct head){.number = shard->last_number + 1};
        return 0;
    }
    const char *at = shard->keys->api->string_ptr_len(found, &bytes);
    int rc = head_read(head, (const unsigned char *)at, bytes);
    keys_free(shard->keys, found);
    return rc == 0 ? 1 : -1;
}

void shard_set_head(struct shard *shard, RedisModuleString *article, struct head *head,
                    bool renewed)
{
    unsigned char bytes[HEAD_MAX_BYTES];
    if (renewed) {
        shard->last_version++;
        if (shard->last_version < shard->clock_us)
            shard->last_version = shard->clock_us;
        head->version = shard->last_version;
        keys_zset_add(shard->keys, &shard->changed, article, head->version);
        shard->versions_changed = true;
    }
    if (!head->stored)
        shard->last_number = head->number;
    RedisModuleString *value = keys_string(shard->keys, bytes, head_write(head, bytes));
    keys_hash_set(shard->keys, &shard->heads, article, value);
    keys_free(shard->keys, value);
    shard->heads_changed = true;
}

/* --- the end of a call --- */

static void set_meta(struct shard *shard)
{
    char version[DECIMAL_BYTES], articles[DECIMAL_BYTES];
    struct keys *keys = shard->keys;
    int n = snprintf(version, sizeof version, "%" PRIu64, shard->last_version);
    int m = snprintf(articles, sizeof articles, "%" PRIu32, shard->last_number);
    RedisModuleString *pairs[] = {
        keys_string(keys, "version", 7), keys_string(keys, version, (size_t)n),
        keys_string(keys, "articles", 8), keys_string(keys, articles, (size_t)m)};
    keys_hash_fill(keys, &shard->meta, pairs, 4);
    for (int i = 0; i < 4; i++)
        keys_free(keys, pairs[i]);
}

static void set_position(struct shard *shard)
{
    const struct call *call = shard->call;
    unsigned char position[POSITION_BYTES] = {0};
    if (shard->stored != NULL) {
        size_t bytes;
        memcpy(position, shard->keys->api->string_ptr_len(shard->stored, &bytes), POSITION_BYTES);
    }
    bytes_put_u64(position + 16, bytes_get_u64(position + 16) + call->quarantined);
    bytes_put_u64(position + 24, bytes_get_u64(position + 24) + call->lost);
    memcpy(position, call->to, 16);
    memcpy(position + 32, call->edge, 8);
    RedisModuleString *value = keys_string(shard->keys, position, sizeof position);
    keys_hash_set(shard->keys, &shard->rings, call->ring, value);
    keys_free(shard->keys, value);
}

void shard_finish(struct shard *shard, bool moves)
{
    if (shard->heads_changed)
        set_meta(shard);
    if (shard->last_number > shard->first_number)
        keys_widen(shard->keys, &shard->heads, &shard->changed);
    if (moves)
        set_position(shard);
}

/* The primary of a cluster sends the hint to all servers of the shard; without one each server
 * tells its own subscribers. */
void shard_hint(struct shard *shard)
{
    struct keys *keys = shard->keys;
    int flags = keys->api->get_context_flags(keys->ctx);
    bool cluster = flags & MODULE_API_CONTEXT_CLUSTER;
    if (!shard->versions_changed || flags & MODULE_API_CONTEXT_LOADING ||
        (cluster && flags & MODULE_API_CONTEXT_REPLICATED))
        return;
    keys->api->publish_message_shard(keys->ctx, shard->call->changed, shard->call->shard);
    if (keys->effects && !cluster)
        keys->api->replicate(keys->ctx, "SPUBLISH", "Ass", shard->call->changed,
                             shard->call->shard);
}
