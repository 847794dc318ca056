/* store.lua, claim.lua and fold.lua, step by step. */
#include "redis_scripts.h"

#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_field(struct redis_reply *reply, redisReply *all, size_t *at, const char *name,
                      const char *value)
{
    all->element[(*at)++] = redis_reply_words(reply, name);
    all->element[(*at)++] = redis_reply_words(reply, value);
}

static void add_number(struct redis_reply *reply, redisReply *all, size_t *at, const char *name,
                       uint64_t value)
{
    all->element[(*at)++] = redis_reply_words(reply, name);
    all->element[(*at)++] = redis_reply_digits(reply, value);
}

_Static_assert(WORLD_SHARDS < 10, "a digit a shard");

static uint64_t placed_all(const struct redis_store *store)
{
    return store->shards < 64 ? (UINT64_C(1) << store->shards) - 1 : UINT64_MAX;
}

void redis_store_answer(struct redis_reply *reply)
{
    const struct redis_store *store = redis_store();
    char name[KIND_NAME_MAX_BYTES + sizeof "kind:"] = "kind:", value[24];
    size_t at = 0;
    bool all_placed = store->placed == placed_all(store);
    size_t fields = store->id == 0 ? 0 : 5 + all_placed;
    for (unsigned s = 0; s < store->shards && !all_placed && store->id != 0; s++)
        fields += store->placed >> s & 1;
    for (unsigned i = 1; i <= KIND_MAX && store->id != 0; i++)
        fields += store->kind[i][0] != '\0';
    redisReply *all = redis_reply_array(reply, 2 * fields);
    if (store->id == 0)
        return;
    snprintf(value, sizeof value, "%016" PRIx64, store->id);
    add_field(reply, all, &at, "id", value);
    add_field(reply, all, &at, "format", "1");
    add_number(reply, all, &at, "shards", store->shards);
    add_field(reply, all, &at, "key", store->key);
    add_number(reply, all, &at, "split", store->split);
    if (all_placed)
        add_field(reply, all, &at, "placed", "1");
    for (unsigned s = 0; s < store->shards && !all_placed; s++) {
        if (!(store->placed >> s & 1))
            continue;
        char placed[] = "placed:0";
        placed[sizeof placed - 2] = (char)('0' + s);
        add_field(reply, all, &at, placed, "1");
    }
    for (unsigned i = 1; i <= KIND_MAX; i++) {
        if (store->kind[i][0] == '\0')
            continue;
        memcpy(name + strlen("kind:"), store->kind[i], strlen(store->kind[i]) + 1);
        add_number(reply, all, &at, name, i);
    }
}

/* Gives a kind an id (0: the next one), unless it has one, or the id is another kind's. */
static void give_kind(struct redis_store *store, const char *name, size_t bytes, unsigned id)
{
    if (id == 0)
        id = store->kinds + 1;
    for (unsigned k = 1; k <= KIND_MAX; k++)
        if (strlen(store->kind[k]) == bytes && memcmp(store->kind[k], name, bytes) == 0)
            return;
    if (id > KIND_MAX || store->kind[id][0] != '\0' || bytes > KIND_NAME_MAX_BYTES)
        return;
    memcpy(store->kind[id], name, bytes);
    store->kind[id][bytes] = '\0';
    if (id > store->kinds)
        store->kinds = id;
    judge_kinds_given(id, store->kind[id]);
}

/* EVAL store.lua 1 tally:store, id make|keep shards key split, kinds: name:id or name;
 * or id placed, shards */
void redis_store_run(const struct redis_words *words, struct redis_reply *reply)
{
    struct redis_store *store = redis_store();
    const char *const *argument = words->word + redis_scripts_argv(words);
    uint64_t id = strtoull(argument[0], NULL, 16);
    bool placed = strcmp(argument[1], "placed") == 0;
    redis_commit(REDIS_OF_STORE);
    if (store->id == 0 && strcmp(argument[1], "make") == 0) {
        store->id = id;
        store->shards = (unsigned)strtoul(argument[2], NULL, 10);
        store->split = (unsigned)strtoul(argument[4], NULL, 10);
        snprintf(store->key, sizeof store->key, "%s", argument[3]);
    }
    if (placed && store->id == id)
        for (int i = (int)redis_scripts_argv(words) + 2; i < words->n; i++)
            store->placed |= UINT64_C(1) << strtoul(words->word[i], NULL, 10);
    for (int i = (int)redis_scripts_argv(words) + 5; !placed && i < words->n && store->id == id;
         i++) {
        const char *colon = strchr(words->word[i], ':');
        give_kind(store, words->word[i],
                  colon != NULL ? (size_t)(colon - words->word[i]) : words->bytes[i],
                  colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0);
    }
    redis_store_answer(reply);
}

/* HSETNX tally:store kind:x id */
void redis_store_set(const struct redis_words *words, struct redis_reply *reply)
{
    struct redis_store *store = redis_store();
    unsigned id = (unsigned)strtoul(words->word[3], NULL, 10), kinds = store->kinds;
    size_t skip = strlen("kind:");
    redis_commit(REDIS_OF_STORE);
    give_kind(store, words->word[2] + skip, words->bytes[2] - skip, id);
    redis_reply_number(reply, store->kinds != kinds);
}

void redis_store_fold(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned shard = redis_shard_of(words->word[3]);
    struct redis_ring *ring =
        redis_find_ring(shard, strtoull(words->word[redis_scripts_argv(words)], NULL, 16));
    if (ring == NULL) {
        redis_reply_number(reply, 0);
        return;
    }
    redis_commit(shard);
    unsigned edge = judge_edge(ring->edge);
    struct redis_shard *books = redis_shard(shard);
    books->applied[edge] += (int64_t)(ring->sequence - ring->quarantined - ring->lost);
    books->quarantined[edge] += (int64_t)ring->quarantined;
    books->lost[edge] += (int64_t)ring->lost;
    if (books->folds == REDIS_RINGS)
        abort();
    books->folded[books->folds++] = ring->id;
    memset(ring, 0, sizeof *ring);
    redis_reply_number(reply, 1);
}
