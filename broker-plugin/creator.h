/* Who made an article known, as far as it takes to forget an article that hardly anyone touched
 * (FORMATS.md 4.5): a note in the article's entry, and for each creator how many articles have
 * such a note. A creator is a tag, a keyed hash of an address (of a reader, where there is no
 * address), under a key that lives as long as the broker: nobody can say whose it is.
 *
 * The note names every reader of that one creator who reacted, by part of the hash that their
 * register has: so Redis can be asked whether there are others. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_CREATOR_H
#define TALLY_BROKER_PLUGIN_CREATOR_H

#include <stdbool.h>
#include <stdint.h>

#define CREATOR_NOTE_BYTES 80u
#define CREATOR_READERS_MAX 16
/* Articles of one creator that are never forgotten: what a lone reader counts stays. */
#define CREATOR_KEPT 20

/* --- the note --- */

/* `reader` is a reader's hash for the article (reader_hash). */
void creator_note_write(unsigned char note[CREATOR_NOTE_BYTES], uint64_t tag, uint64_t reader);
bool creator_note_whole(const unsigned char note[CREATOR_NOTE_BYTES]);
uint64_t creator_note_tag(const unsigned char note[CREATOR_NOTE_BYTES]);

/* One more reaction, by a reader of that creator. False where it is of more readers than a note
 * has room for: then more than hardly anyone touched the article. */
bool creator_note_add(unsigned char note[CREATOR_NOTE_BYTES], uint64_t reader);

/* The readers, by the high 32 bits of their hashes. Returns how many. */
int creator_note_readers(const unsigned char note[CREATOR_NOTE_BYTES],
                         uint32_t readers[CREATOR_READERS_MAX]);

/* --- how many notes each has --- */

struct creators;

/* Room for as many creators as there may be notes; all memory is allocated here. `seed` as in
 * slots_new. NULL for no memory. */
struct creators *creators_new(uint32_t max, uint64_t seed);
void creators_free(struct creators *creators); /* NULL is fine */

void creators_add(struct creators *creators, uint64_t tag);

/* A note is gone. `asked`: creators_ask had said true of it. */
void creators_remove(struct creators *creators, uint64_t tag, bool asked);

/* Whether one more of the creator's articles may be forgotten, so that CREATOR_KEPT stay; then it
 * counts as gone. */
bool creators_ask(struct creators *creators, uint64_t tag);

uint32_t creators_notes(const struct creators *creators); /* of all */

#endif
