/* Records who registered an article, as far as needed to forget articles that hardly anyone touched
 * (FORMATS.md 4.5): a note in the article's entry, and a count of such notes for each creator. A
 * creator is a tag: a keyed hash of an address (of a reader if there is no address). The key lives
 * only as long as the broker, so a tag cannot be traced to anyone.
 *
 * The note names every reader of that one creator who reacted, by part of the hash in their
 * register. So Redis can be asked whether there are others. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_CREATOR_H
#define TALLY_BROKER_PLUGIN_CREATOR_H

#include <stdbool.h>
#include <stdint.h>

#define CREATOR_NOTE_BYTES 80u
#define CREATOR_READERS_MAX 16
/* Articles of one creator that are never forgotten: a lone reader's reactions stay. */
#define CREATOR_KEPT 20

/* --- the note --- */

/* `reader` is a reader's hash for the article (reader_hash). */
void creator_note_write(unsigned char note[CREATOR_NOTE_BYTES], uint64_t tag, uint64_t reader);
bool creator_note_whole(const unsigned char note[CREATOR_NOTE_BYTES]);
uint64_t creator_note_tag(const unsigned char note[CREATOR_NOTE_BYTES]);

/* Adds a reaction by a reader of that creator. False if the note has no space for another reader:
 * the article then counts as touched by many. */
bool creator_note_add(unsigned char note[CREATOR_NOTE_BYTES], uint64_t reader);

/* The readers, by the high 32 bits of their hashes. Returns how many. */
int creator_note_readers(const unsigned char note[CREATOR_NOTE_BYTES],
                         uint32_t readers[CREATOR_READERS_MAX]);

/* --- how many notes each creator has --- */

struct creators;

/* Space for as many creators as there may be notes; all memory is allocated here. `seed` as in
 * slots_new. NULL if memory is short. */
struct creators *creators_new(uint32_t max, uint64_t seed);
void creators_free(struct creators *creators); /* NULL is fine */

void creators_add(struct creators *creators, uint64_t tag);

/* A note is gone. `asked`: creators_ask had returned true for it. */
void creators_remove(struct creators *creators, uint64_t tag, bool asked);

/* Whether one more of the creator's articles may be forgotten while CREATOR_KEPT stay. If so, it
 * counts as gone. */
bool creators_ask(struct creators *creators, uint64_t tag);

uint32_t creators_notes(const struct creators *creators); /* of all creators */

#endif
