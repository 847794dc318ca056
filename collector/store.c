/* Reads tally:store and judges whether it fits what the rings say. */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1
#define ADOPT "; to go on with it run the collector once with --adopt"

void store_init(struct store *store)
{
    memset(store, 0, sizeof *store);
    memcpy(store->kind[KIND_NONE], "none", sizeof "none");
}

static bool store_is(const char *name, size_t bytes, const char *want)
{
    return bytes == strlen(want) && memcmp(name, want, bytes) == 0;
}

static void kind_field(struct store *store, const char *name, size_t bytes, unsigned long id)
{
    if (id < 1 || id > KIND_MAX || !kind_name_valid(name, bytes) || store_is(name, bytes, "none"))
        return;
    memcpy(store->kind[id], name, bytes);
    store->kind[id][bytes] = '\0';
    if ((int)id > store->kinds)
        store->kinds = (int)id;
}

/* Of placed:3. */
static void placed_field(struct store *store, const char *number, size_t bytes)
{
    unsigned shard = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (number[i] < '0' || number[i] > '9' || shard > 6)
            return;
        shard = 10 * shard + (unsigned)(number[i] - '0');
    }
    if (shard < 64)
        store->placed |= UINT64_C(1) << shard;
}

void store_field(struct store *store, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes)
{
    static const char kind[] = "kind:", placed[] = "placed:";
    char text[STORE_KEY_DIGITS + 1] = "";
    store->exists = true;
    if (value_bytes >= sizeof text)
        return;
    memcpy(text, value, value_bytes);
    text[value_bytes] = '\0';
    if (store_is(name, name_bytes, "id"))
        store->id = strtoull(text, NULL, 16);
    else if (store_is(name, name_bytes, "format"))
        store->format = (unsigned)strtoul(text, NULL, 10);
    else if (store_is(name, name_bytes, "shards"))
        store->shards = (unsigned)strtoul(text, NULL, 10);
    else if (store_is(name, name_bytes, "split"))
        store->split = (unsigned)strtoul(text, NULL, 10);
    else if (store_is(name, name_bytes, "key"))
        memcpy(store->key, text, sizeof text);
    else if (store_is(name, name_bytes, "placed") && strcmp(text, "1") == 0)
        store->placed = UINT64_MAX;
    else if (name_bytes > sizeof placed - 1 && memcmp(name, placed, sizeof placed - 1) == 0)
        placed_field(store, name + sizeof placed - 1, name_bytes - (sizeof placed - 1));
    else if (name_bytes > sizeof kind - 1 && memcmp(name, kind, sizeof kind - 1) == 0)
        kind_field(store, name + sizeof kind - 1, name_bytes - (sizeof kind - 1),
                   strtoul(text, NULL, 10));
}

bool store_placed(const struct store *store)
{
    uint64_t all = store->shards < 64 ? (UINT64_C(1) << store->shards) - 1 : UINT64_MAX;
    return (store->placed & all) == all && all != 0;
}

void store_rings_init(struct store_rings *rings)
{
    memset(rings, 0, sizeof *rings);
}

static void add_kind(struct store_rings *rings, const char *name)
{
    for (int i = 0; i < rings->kinds; i++)
        if (strcmp(rings->kind[i], name) == 0)
            return;
    if (rings->kinds > KIND_MAX)
        return; /* one too many is enough to report it */
    snprintf(rings->kind[rings->kinds++], KIND_NAME_MAX_BYTES + 1, "%s", name);
}

/* The status describes every ring each second. */
static void store_hex(char out[STORE_KEY_DIGITS + 1],
                      const unsigned char fingerprint[RING_FINGERPRINT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < RING_FINGERPRINT_BYTES; i++) {
        out[2 * i] = digits[fingerprint[i] >> 4];
        out[2 * i + 1] = digits[fingerprint[i] & 15];
    }
    out[STORE_KEY_DIGITS] = '\0';
}

void store_rings_add(struct store_rings *rings, const struct ring_identity *ring, uint64_t store_id,
                     bool applied)
{
    char key[STORE_KEY_DIGITS + 1];
    store_hex(key, ring->fingerprint);
    if (rings->rings++ == 0) {
        memcpy(rings->key, key, sizeof key);
        rings->shards = ring->shards;
        rings->edge = ring->edge_id;
    }
    if (strcmp(rings->key, key) != 0)
        rings->torn = "spool: its rings are of different reader keys";
    if (rings->shards != ring->shards)
        rings->torn = "spool: its rings are of different numbers of shards";
    if (store_id != 0 && rings->applied != 0 && store_id != rings->applied)
        rings->of_stores = true;
    if (store_id != 0)
        rings->applied = store_id;
    if (store_id != 0 && applied)
        rings->applied_shards |= UINT64_C(1) << ring->shard % 64;
    for (int i = 1; i <= ring->kinds.n; i++)
        add_kind(rings, ring->kinds.name[i]);
}

static bool has_kind(const struct store *store, const char *name)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (strcmp(store->kind[id], name) == 0)
            return true;
    return false;
}

enum store_verdict store_recall(const struct store *known, const struct store *now, bool strict,
                                struct error *why)
{
    enum store_verdict verdict = STORE_SERVE;
    for (unsigned id = 1; id <= KIND_MAX && known->id == now->id && known->id != 0; id++) {
        if (known->kind[id][0] == '\0' || strcmp(known->kind[id], now->kind[id]) == 0)
            continue;
        if (now->kind[id][0] == '\0' && !has_kind(now, known->kind[id])) {
            verdict = STORE_KINDS;
        } else if (strict) {
            error_set(why,
                      "store: kind %s had the id %u, which is %s's now; some reactions would be "
                      "counted for another kind: correct kind:* in Redis",
                      known->kind[id], id, now->kind[id][0] != '\0' ? now->kind[id] : "nobody");
            return STORE_HOLD;
        }
    }
    return verdict;
}

/* SERVE, KINDS, or HOLD if there would be too many kinds. */
static enum store_verdict judge_kinds(const struct store *store, const struct store_rings *rings,
                                      struct error *why)
{
    int missing = 0;
    const char *name = "";
    for (int i = 0; i < rings->kinds; i++)
        if (!has_kind(store, rings->kind[i])) {
            missing++;
            name = rings->kind[i];
        }
    if (store->kinds + missing <= KIND_MAX)
        return missing == 0 ? STORE_SERVE : STORE_KINDS;
    error_set(why, "store: %d of %d kind ids are given, and none is left for kind %s", store->kinds,
              KIND_MAX, name);
    return STORE_HOLD;
}

static enum store_verdict judge_existing(const struct store *store, const struct store_rings *rings,
                                         bool adopt, struct error *why)
{
    if (store->format != FORMAT)
        error_set(why, "store: of format %u, not %u", store->format, FORMAT);
    else if (store->id == 0 || store->split == 0)
        error_set(why, "store: tally:store lacks its id or split");
    else if (store->shards != rings->shards)
        error_set(why, "store: of %u shards, but the spool has %u", store->shards, rings->shards);
    else if (strcmp(store->key, rings->key) != 0)
        error_set(why, "store: counted with another reader key (fingerprint %s, the spool's is %s)",
                  store->key, rings->key);
    else if (!adopt && rings->applied != 0 && rings->applied != store->id)
        error_set(why,
                  "store: another (%016" PRIx64 "), as the spool has applied to %016" PRIx64 ADOPT,
                  store->id, rings->applied);
    else
        return judge_kinds(store, rings, why);
    return STORE_HOLD;
}

enum store_verdict store_judge(const struct store *store, const struct store_rings *rings,
                               bool adopt, struct error *why)
{
    why->text[0] = '\0';
    if (rings->rings == 0)
        error_set(why, "spool: no rings yet");
    else if (rings->torn != NULL)
        error_set(why, "%s", rings->torn);
    else if (rings->of_stores && !adopt)
        error_set(why, "store: the spool has applied to more than one" ADOPT);
    if (why->text[0] != '\0')
        return STORE_HOLD;
    if (store->exists)
        return judge_existing(store, rings, adopt, why);
    if (rings->applied != 0 && !adopt) {
        error_set(why, "store: Redis has none, but the spool has applied to %016" PRIx64 ADOPT,
                  rings->applied);
        return STORE_HOLD;
    }
    return judge_kinds(store, rings, why) == STORE_HOLD ? STORE_HOLD : STORE_MAKE;
}

int store_map(const struct store *store, const struct kind_table *kinds, uint8_t ids[KIND_MAX + 1])
{
    memset(ids, 0, KIND_MAX + 1);
    for (int i = 1; i <= kinds->n; i++) {
        for (unsigned id = 1; id <= KIND_MAX && ids[i] == 0; id++)
            if (strcmp(store->kind[id], kinds->name[i]) == 0)
                ids[i] = (uint8_t)id;
        if (ids[i] == 0)
            return -1;
    }
    return 0;
}

const char *store_kind(const struct store *store, unsigned id)
{
    return id <= KIND_MAX ? store->kind[id] : "";
}
