/* Packs the arguments of store.lua. It is the only file that knows their order. */
#include "store_call.h"

#include <inttypes.h>
#include <stdio.h>

extern const unsigned char store_lua[];

/* First the kinds that had an id, with it, then the rings'. */
static void add_kinds(struct store_call *call, uint64_t store_id, const struct store *known,
                      const struct store_rings *rings)
{
    for (unsigned id = 1; id <= KIND_MAX && known->id == store_id; id++)
        if (known->kind[id][0] != '\0') {
            snprintf(call->known[id], sizeof call->known[id], "%s:%u", known->kind[id], id);
            call->word[call->n++] = call->known[id];
        }
    for (int i = 0; i < rings->kinds && i <= KIND_MAX; i++)
        call->word[call->n++] = rings->kind[i];
}

void store_call_pack(struct store_call *call, enum store_call_what what, const char *prefix,
                     uint64_t store_id, const struct store *known, const struct store_rings *rings)
{
    static const char *const words[] = {[STORE_CALL_MAKE] = "make", [STORE_CALL_KEEP] = "keep"};
    snprintf(call->id, sizeof call->id, "%016" PRIx64, store_id);
    snprintf(call->shards, sizeof call->shards, "%u", rings->shards);
    snprintf(call->split, sizeof call->split, "%d", STORE_SPLIT_VOTERS);
    redis_key(call->key, prefix, REDIS_PLACE_STORE, NULL);
    const char *const fixed[] = {"EVAL",       (const char *)store_lua,
                                 "1",          call->key,
                                 call->id,     words[what],
                                 call->shards, rings->key,
                                 call->split};
    call->n = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        call->word[call->n++] = fixed[i];
    add_kinds(call, store_id, known, rings);
}

void store_call_placed(struct store_call *call, const char *prefix, uint64_t store_id,
                       uint64_t shards)
{
    snprintf(call->id, sizeof call->id, "%016" PRIx64, store_id);
    redis_key(call->key, prefix, REDIS_PLACE_STORE, NULL);
    const char *const fixed[] = {"EVAL",  (const char *)store_lua, "1", call->key, call->id,
                                 "placed"};
    call->n = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        call->word[call->n++] = fixed[i];
    for (unsigned i = 0; i < REDIS_PLACE_STORE; i++)
        if (shards >> i & 1) {
            snprintf(call->placed[i], sizeof call->placed[i], "%u", i);
            call->word[call->n++] = call->placed[i];
        }
}

void store_call_seen(struct store_call *call, const char *prefix, uint64_t store_id,
                     uint64_t edge_id)
{
    snprintf(call->id, sizeof call->id, "%016" PRIx64, store_id);
    snprintf(call->edge, sizeof call->edge, "%016" PRIx64, edge_id);
    redis_key(call->key, prefix, REDIS_PLACE_STORE, NULL);
    const char *const fixed[] = {
        "EVAL", (const char *)store_lua, "1", call->key, call->id, "seen", call->edge};
    call->n = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        call->word[call->n++] = fixed[i];
}
