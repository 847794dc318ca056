/* Keys of the server during one call of the command, and how their changes reach replicas and the
 * append-only file: by effects, each change is replicated as the command that makes it; otherwise
 * module.c replicates the whole call. Redis's main thread. */
#ifndef TALLY_REDIS_MODULE_KEYS_H
#define TALLY_REDIS_MODULE_KEYS_H

#include "module_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"

struct keys {
    const struct module_api *api;
    RedisModuleCtx *ctx;
    bool effects;
    bool wrote; /* something has changed */
};

/* An open key, by name. */
struct keys_key {
    RedisModuleString *name;
    RedisModuleKey *key; /* NULL: not open */
};

/* The caller frees it with keys_free. */
RedisModuleString *keys_string(struct keys *keys, const void *bytes, size_t n);
void keys_free(struct keys *keys, RedisModuleString *string); /* NULL is fine */

/* Opens a key, which may not exist, and keeps `name` until it is closed. At most one handle of a
 * key is open. */
struct keys_key keys_open(struct keys *keys, RedisModuleString *name);
void keys_close(struct keys *keys, struct keys_key *key); /* one that is not open is fine */

bool keys_is_hash(struct keys *keys, const struct keys_key *key); /* or does not exist */
bool keys_is_zset(struct keys *keys, const struct keys_key *key); /* the same */

/* A field of a hash, or NULL; quick if the key does not exist. The caller frees it. */
RedisModuleString *keys_hash_get(struct keys *keys, const struct keys_key *key,
                                 RedisModuleString *field);

/* Sets a field. */
void keys_hash_set(struct keys *keys, const struct keys_key *key, RedisModuleString *field,
                   RedisModuleString *value);

/* Sets n / 2 fields: pairs of field and value. */
void keys_hash_fill(struct keys *keys, const struct keys_key *key, RedisModuleString **pairs,
                    size_t n);

void keys_zset_add(struct keys *keys, const struct keys_key *key, RedisModuleString *member,
                   uint64_t score);

/* Deletes the key if it exists. It stays open. */
void keys_delete(struct keys *keys, const struct keys_key *key);

/* Adds an element that is longer than any that a hash and a sorted set keep in a listpack, and
 * removes it: they are tables from now on (lib/lua/prelude.lua). */
void keys_widen(struct keys *keys, const struct keys_key *hash, const struct keys_key *zset);

#endif
