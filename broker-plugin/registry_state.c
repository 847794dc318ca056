/* What a stored state allows, and the way from and to an operator's state. */
#include "registry_state.h"

#include "core/bytes.h"

#include <string.h>

bool registry_state_offers(const unsigned char *copy, int kind)
{
    if (!(bytes_get_u32(copy + REGISTRY_LAYOUT_COPY_FLAGS) & REGISTRY_LAYOUT_SOME_KINDS) ||
        kind == KIND_NONE)
        return true;
    for (uint64_t rest = bytes_get_u64(copy + REGISTRY_LAYOUT_COPY_KINDS); rest != 0; rest >>= 4)
        if ((int)(rest & 15) == kind)
            return true;
    return false;
}

bool registry_state_accepts(const unsigned char *copy, uint64_t unix_ms)
{
    uint64_t closes_at_ms = bytes_get_u64(copy + REGISTRY_LAYOUT_COPY_CLOSES);
    return !(bytes_get_u32(copy + REGISTRY_LAYOUT_COPY_FLAGS) & REGISTRY_LAYOUT_CLOSED) &&
           unix_ms >= bytes_get_u64(copy + REGISTRY_LAYOUT_COPY_OPENS) &&
           (closes_at_ms == 0 || unix_ms < closes_at_ms);
}

bool registry_state_same(const unsigned char *copy, const struct registry_layout_state *state)
{
    struct registry_layout_state was = registry_layout_read_state(copy);
    return was.flags == state->flags && was.version == state->version &&
           was.opens_at_ms == state->opens_at_ms && was.closes_at_ms == state->closes_at_ms &&
           was.kinds == state->kinds;
}

/* The kinds of the names in a state, by `table`. False if one is not in it. */
static bool pack_kinds(const struct article_state *state, const struct kind_table *table,
                       uint64_t *out)
{
    bool all = true;
    unsigned n = 0;
    *out = 0;
    for (int i = 0; i < state->kinds; i++) {
        int kind = kind_find(table, state->kind[i], strlen(state->kind[i]));
        if (kind > KIND_NONE)
            *out |= (uint64_t)kind << 4 * n++;
        else
            all = false;
    }
    return all;
}

bool registry_state_pack(const struct article_state *state, const struct kind_table *table,
                         uint64_t version_before, struct registry_layout_state *out)
{
    *out = (struct registry_layout_state){
        .flags = (state->closed ? REGISTRY_LAYOUT_CLOSED : 0) |
                 (state->kinds > 0 ? REGISTRY_LAYOUT_SOME_KINDS : 0) |
                 (state->after_close ? REGISTRY_LAYOUT_AFTER_CLOSE : 0) |
                 (state->version == 0 ? REGISTRY_LAYOUT_UNPASSED : 0),
        .version = state->version == 0 ? version_before : state->version,
        .opens_at_ms = state->opens_at_ms,
        .closes_at_ms = state->closes_at_ms,
    };
    return pack_kinds(state, table, &out->kinds);
}

bool registry_state_unpack(const struct registry_layout_state *state,
                           const struct kind_table *table, struct article_state *out)
{
    memset(out, 0, sizeof *out);
    out->closed = (state->flags & REGISTRY_LAYOUT_CLOSED) != 0;
    out->after_close = (state->flags & REGISTRY_LAYOUT_AFTER_CLOSE) != 0;
    out->opens_at_ms = state->opens_at_ms;
    out->closes_at_ms = state->closes_at_ms;
    for (uint64_t rest = state->kinds; rest != 0 && out->kinds < KIND_MAX; rest >>= 4)
        memcpy(out->kind[out->kinds++], table->name[rest & 15], sizeof out->kind[0]);
    return out->kinds > 0 || !(state->flags & REGISTRY_LAYOUT_SOME_KINDS);
}

/* The same kinds by another table; kinds that it does not have are dropped. */
static uint64_t translate_kinds(uint64_t kinds, const struct kind_table *from,
                                const struct kind_table *to)
{
    uint64_t out = 0;
    unsigned n = 0;
    for (; kinds != 0; kinds >>= 4) {
        const char *name = from->name[kinds & 15];
        int kind = kind_find(to, name, strlen(name));
        if (kind > KIND_NONE)
            out |= (uint64_t)kind << 4 * n++;
    }
    return out;
}

bool registry_state_read_foreign(const unsigned char *entry, const struct kind_table *theirs,
                                 const struct kind_table *ours, struct registry_layout_state *out)
{
    if (!registry_layout_state_whole(entry, theirs->n))
        return false;
    unsigned selector = entry[REGISTRY_LAYOUT_SELECTOR];
    *out = registry_layout_read_state(entry + REGISTRY_LAYOUT_COPIES +
                                      (selector - 1) * REGISTRY_LAYOUT_COPY_BYTES);
    out->kinds = translate_kinds(out->kinds, theirs, ours);
    return true;
}
