/* An index of a bounded table: a hash table and a list in the order of use. */
#include "core/slots.h"

#include <stdlib.h>

struct slot {
    uint64_t key;
    uint32_t chain;        /* the next of the same head */
    uint32_t older, newer; /* the list of use: free slots first, then from stalest to newest */
    bool used;             /* has a key */
};

struct slots {
    uint32_t n, count;
    uint32_t oldest, newest;
    unsigned head_bits;
    uint64_t factor;
    uint32_t *heads;
    struct slot *slot;
};

struct slots *slots_new(uint32_t n, uint64_t seed)
{
    struct slots *slots = calloc(1, sizeof *slots);
    if (slots == NULL)
        return NULL;
    slots->n = n;
    slots->head_bits = 1;
    while (slots->head_bits < 24 && UINT32_C(1) << slots->head_bits < n)
        slots->head_bits++;
    slots->factor = seed | 1;
    slots->heads = malloc((sizeof *slots->heads) << slots->head_bits);
    slots->slot = calloc(n, sizeof *slots->slot);
    if (slots->heads == NULL || slots->slot == NULL) {
        slots_free(slots);
        return NULL;
    }
    for (uint32_t i = 0; i < UINT32_C(1) << slots->head_bits; i++)
        slots->heads[i] = SLOTS_NONE;
    for (uint32_t i = 0; i < n; i++) {
        slots->slot[i].older = i == 0 ? SLOTS_NONE : i - 1;
        slots->slot[i].newer = i + 1 == n ? SLOTS_NONE : i + 1;
    }
    slots->newest = n - 1;
    return slots;
}

void slots_free(struct slots *slots)
{
    if (slots == NULL)
        return;
    free(slots->heads);
    free(slots->slot);
    free(slots);
}

static uint32_t *head_of(const struct slots *slots, uint64_t key)
{
    return &slots->heads[(key * slots->factor) >> (64 - slots->head_bits)];
}

uint32_t slots_find(const struct slots *slots, uint64_t key)
{
    uint32_t at = *head_of(slots, key);
    while (at != SLOTS_NONE && slots->slot[at].key != key)
        at = slots->slot[at].chain;
    return at;
}

static void unlist(struct slots *slots, const struct slot *slot)
{
    if (slot->older == SLOTS_NONE)
        slots->oldest = slot->newer;
    else
        slots->slot[slot->older].newer = slot->newer;
    if (slot->newer == SLOTS_NONE)
        slots->newest = slot->older;
    else
        slots->slot[slot->newer].older = slot->older;
}

void slots_touch(struct slots *slots, uint32_t slot)
{
    struct slot *used = &slots->slot[slot];
    if (slots->newest == slot)
        return;
    unlist(slots, used);
    used->older = slots->newest;
    used->newer = SLOTS_NONE;
    slots->slot[slots->newest].newer = slot;
    slots->newest = slot;
}

/* Removes the key of a slot. */
static void slots_forget(struct slots *slots, uint32_t slot)
{
    struct slot *used = &slots->slot[slot];
    if (!used->used)
        return;
    uint32_t *link = head_of(slots, used->key);
    while (*link != slot)
        link = &slots->slot[*link].chain;
    *link = used->chain;
    used->used = false;
    slots->count--;
}

void slots_place(struct slots *slots, uint32_t slot, uint64_t key)
{
    struct slot *given = &slots->slot[slot];
    uint32_t *head = head_of(slots, key);

    slots_forget(slots, slot);
    given->key = key;
    given->used = true;
    given->chain = *head;
    *head = slot;
    slots->count++;
    slots_touch(slots, slot);
}

uint32_t slots_add(struct slots *slots, uint64_t key)
{
    uint32_t slot = slots->oldest;
    slots_place(slots, slot, key);
    return slot;
}

void slots_remove(struct slots *slots, uint32_t slot)
{
    struct slot *freed = &slots->slot[slot];
    slots_forget(slots, slot);
    if (slots->oldest == slot)
        return;
    unlist(slots, freed);
    freed->newer = slots->oldest;
    freed->older = SLOTS_NONE;
    slots->slot[slots->oldest].older = slot;
    slots->oldest = slot;
}

uint32_t slots_stalest(const struct slots *slots, bool *used)
{
    *used = slots->slot[slots->oldest].used;
    return slots->oldest;
}

uint32_t slots_count(const struct slots *slots)
{
    return slots->count;
}
