/* Maps keys to n slots, and knows which slot was used longest ago: the index of every bounded table
 * that evicts the stalest entry first. The slots' contents belong to the owner. A hash table with
 * chains and one list in order of use, both of slot numbers, all allocated at the start. Every
 * operation takes constant time. Pure; one thread. */
#ifndef TALLY_CORE_SLOTS_H
#define TALLY_CORE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS_NONE UINT32_MAX
#define SLOTS_MAX (UINT32_C(1) << 24)

struct slots;

/* `n`: 1 to SLOTS_MAX, all free. `seed` is random: clients choose keys, and must not be able to
 * choose keys that share a chain (multiply-shift hashing by a secret odd factor; Dietzfelbinger et
 * al., J. Algorithms 25, 1997). NULL if memory is short. */
struct slots *slots_new(uint32_t n, uint64_t seed);
void slots_free(struct slots *slots); /* NULL is fine */

/* The key's slot, or SLOTS_NONE. */
uint32_t slots_find(const struct slots *slots, uint64_t key);

/* Marks the slot as the most recently used. */
void slots_touch(struct slots *slots, uint32_t slot);

/* Gives a new key a slot: a free one, or that of the stalest key, which is evicted. */
uint32_t slots_add(struct slots *slots, uint64_t key);

/* Gives a new key this slot; its previous key is evicted. */
void slots_place(struct slots *slots, uint32_t slot, uint64_t key);

/* Frees the slot, which will be the next to be given. */
void slots_remove(struct slots *slots, uint32_t slot);

/* The slot that slots_add would give, and whether it has a key. */
uint32_t slots_stalest(const struct slots *slots, bool *used);

uint32_t slots_count(const struct slots *slots); /* slots that have a key */

#endif
