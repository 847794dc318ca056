/* The index of the notes of creators: a mark for each slot of the registry, and a count for each
 * creator. */
#include "registry_notes.h"

#include "creator.h"

#include <stdlib.h>

#define NOTED 1u /* the entry's note is among the creators' */
#define ASKED 2u /* creators_ask returned true for it */

struct registry_notes {
    struct creators *creators;
    unsigned char marks[]; /* by slot */
};

struct registry_notes *registry_notes_new(uint32_t max, uint64_t seed)
{
    struct registry_notes *notes = calloc(1, sizeof *notes + max);
    if (notes == NULL)
        return NULL;
    notes->creators = creators_new(max, seed);
    if (notes->creators == NULL) {
        free(notes);
        return NULL;
    }
    return notes;
}

void registry_notes_free(struct registry_notes *notes)
{
    if (notes == NULL)
        return;
    creators_free(notes->creators);
    free(notes);
}

void registry_notes_add(struct registry_notes *notes, uint32_t slot, const unsigned char *note)
{
    notes->marks[slot] = NOTED;
    creators_add(notes->creators, creator_note_tag(note));
}

void registry_notes_remove(struct registry_notes *notes, uint32_t slot, const unsigned char *note)
{
    if (notes->marks[slot] & NOTED)
        creators_remove(notes->creators, creator_note_tag(note), (notes->marks[slot] & ASKED) != 0);
    notes->marks[slot] = 0;
}

bool registry_notes_has(const struct registry_notes *notes, uint32_t slot)
{
    return (notes->marks[slot] & NOTED) != 0;
}

bool registry_notes_may_forget(struct registry_notes *notes, uint32_t slot,
                               const unsigned char *note)
{
    if (notes->marks[slot] & ASKED)
        return true;
    if (!creators_ask(notes->creators, creator_note_tag(note)))
        return false;
    notes->marks[slot] |= ASKED;
    return true;
}

bool registry_notes_asked(const struct registry_notes *notes, uint32_t slot)
{
    return (notes->marks[slot] & ASKED) != 0;
}

uint32_t registry_notes_count(const struct registry_notes *notes)
{
    return creators_notes(notes->creators);
}
