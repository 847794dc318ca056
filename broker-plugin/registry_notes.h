/* The notes of creators in the registry's entries (creator.h), by slot and by creator: which
 * entries have one, and of which the store was asked whether they may be forgotten. `note` is
 * always the slot's, in the entry. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_REGISTRY_NOTES_H
#define TALLY_BROKER_PLUGIN_REGISTRY_NOTES_H

#include <stdbool.h>
#include <stdint.h>

struct registry_notes;

/* For `max` slots; all memory is allocated here. `seed` as in slots_new. NULL if memory is short.
 */
struct registry_notes *registry_notes_new(uint32_t max, uint64_t seed);
void registry_notes_free(struct registry_notes *notes); /* NULL is fine */

/* The slot's entry has a note now. */
void registry_notes_add(struct registry_notes *notes, uint32_t slot, const unsigned char *note);

/* The slot's note is about to go. Fine if it has none. */
void registry_notes_remove(struct registry_notes *notes, uint32_t slot, const unsigned char *note);

bool registry_notes_has(const struct registry_notes *notes, uint32_t slot);

/* Whether the article of a slot with a note may be forgotten while CREATOR_KEPT of its creator's
 * stay. Once true it stays true, and the article counts as gone. */
bool registry_notes_may_forget(struct registry_notes *notes, uint32_t slot,
                               const unsigned char *note);

/* Whether registry_notes_may_forget returned true for it. */
bool registry_notes_asked(const struct registry_notes *notes, uint32_t slot);

uint32_t registry_notes_count(const struct registry_notes *notes);

#endif
