/* Reads and changes keys through the module API, whose changes replicate nothing by themselves, and
 * replicates them where that is wanted. */
#include "keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WIDE_BYTES 65 /* a listpack's elements have 64 at most */

RedisModuleString *keys_string(struct keys *keys, const void *bytes, size_t n)
{
    return keys->api->create_string(NULL, bytes, n);
}

void keys_free(struct keys *keys, RedisModuleString *string)
{
    if (string != NULL)
        keys->api->free_string(NULL, string);
}

struct keys_key keys_open(struct keys *keys, RedisModuleString *name)
{
    return (struct keys_key){name, keys->api->open_key(keys->ctx, name, MODULE_API_WRITE)};
}

void keys_close(struct keys *keys, struct keys_key *key)
{
    if (key->key != NULL)
        keys->api->close_key(key->key);
    *key = (struct keys_key){0};
}

static bool keys_is(struct keys *keys, const struct keys_key *key, int type)
{
    int found = keys->api->key_type(key->key);
    return found == type || found == MODULE_API_TYPE_EMPTY;
}

bool keys_is_hash(struct keys *keys, const struct keys_key *key)
{
    return keys_is(keys, key, MODULE_API_TYPE_HASH);
}

bool keys_is_zset(struct keys *keys, const struct keys_key *key)
{
    return keys_is(keys, key, MODULE_API_TYPE_ZSET);
}

RedisModuleString *keys_hash_get(struct keys *keys, const struct keys_key *key,
                                 RedisModuleString *field)
{
    RedisModuleString *value = NULL;
    if (keys->api->key_type(key->key) != MODULE_API_TYPE_EMPTY)
        keys->api->hash_get(key->key, MODULE_API_HASH_NONE, field, &value, NULL);
    return value;
}

void keys_hash_set(struct keys *keys, const struct keys_key *key, RedisModuleString *field,
                   RedisModuleString *value)
{
    keys->api->hash_set(key->key, MODULE_API_HASH_NONE, field, value, NULL);
    keys->wrote = true;
    if (keys->effects)
        keys->api->replicate(keys->ctx, "HSET", "sss", key->name, field, value);
}

void keys_hash_fill(struct keys *keys, const struct keys_key *key, RedisModuleString **pairs,
                    size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i += 2)
        keys->api->hash_set(key->key, MODULE_API_HASH_NONE, pairs[i], pairs[i + 1], NULL);
    keys->wrote = true;
    if (keys->effects)
        keys->api->replicate(keys->ctx, "HSET", "sv", key->name, pairs, n);
}

static void replicate_score(struct keys *keys, const struct keys_key *key,
                            RedisModuleString *member, uint64_t score)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, score);
    keys->api->replicate(keys->ctx, "ZADD", "scs", key->name, text, member);
}

void keys_zset_add(struct keys *keys, const struct keys_key *key, RedisModuleString *member,
                   uint64_t score)
{
    int flags = 0;
    keys->api->zset_add(key->key, (double)score, member, &flags);
    keys->wrote = true;
    if (keys->effects)
        replicate_score(keys, key, member, score);
}

void keys_delete(struct keys *keys, const struct keys_key *key)
{
    if (keys->api->key_type(key->key) == MODULE_API_TYPE_EMPTY)
        return;
    keys->api->delete_key(key->key);
    keys->wrote = true;
    if (keys->effects)
        keys->api->replicate(keys->ctx, "DEL", "s", key->name);
}

void keys_widen(struct keys *keys, const struct keys_key *hash, const struct keys_key *zset)
{
    char text[WIDE_BYTES];
    memset(text, ' ', sizeof text);
    RedisModuleString *wide = keys_string(keys, text, sizeof text);
    keys_hash_set(keys, hash, wide, wide);
    keys->api->hash_set(hash->key, MODULE_API_HASH_NONE, wide, MODULE_API_HASH_DELETE, NULL);
    keys_zset_add(keys, zset, wide, 0);
    keys->api->zset_rem(zset->key, wide, NULL);
    if (keys->effects) {
        keys->api->replicate(keys->ctx, "HDEL", "ss", hash->name, wide);
        keys->api->replicate(keys->ctx, "ZREM", "ss", zset->name, wide);
    }
    keys_free(keys, wide);
}
