/* The bytes of a note, and the count of notes for each creator. */
#include "creator.h"

#include "core/slots.h"

#include "core/bytes.h"
#include "core/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_CRC 0u /* of the tag: a reader is added by one store */
#define NOTE_TAG 4u
#define NOTE_READERS 12u
#define READER_BYTES 4u
#define NOTE_USED (NOTE_READERS + CREATOR_READERS_MAX * READER_BYTES)

_Static_assert(NOTE_USED <= CREATOR_NOTE_BYTES, "room for the readers");

/* --- the note --- */

/* 0 is a free slot. */
static uint32_t part_of(uint64_t reader)
{
    return (uint32_t)(reader >> 32) != 0 ? (uint32_t)(reader >> 32) : 1;
}

static uint32_t note_crc(const unsigned char *note)
{
    return crc32c(0, note + NOTE_TAG, NOTE_READERS - NOTE_TAG);
}

void creator_note_write(unsigned char note[CREATOR_NOTE_BYTES], uint64_t tag, uint64_t reader)
{
    memset(note, 0, CREATOR_NOTE_BYTES);
    bytes_put_u64(note + NOTE_TAG, tag);
    bytes_put_u32(note + NOTE_READERS, part_of(reader));
    bytes_put_u32(note + NOTE_CRC, note_crc(note));
}

bool creator_note_whole(const unsigned char note[CREATOR_NOTE_BYTES])
{
    return bytes_get_u32(note + NOTE_CRC) == note_crc(note);
}

uint64_t creator_note_tag(const unsigned char note[CREATOR_NOTE_BYTES])
{
    return bytes_get_u64(note + NOTE_TAG);
}

bool creator_note_add(unsigned char note[CREATOR_NOTE_BYTES], uint64_t reader)
{
    for (unsigned char *at = note + NOTE_READERS; at < note + NOTE_USED; at += READER_BYTES) {
        uint32_t there = bytes_get_u32(at);
        if (there == part_of(reader))
            return true;
        if (there != 0)
            continue;
        bytes_put_u32(at, part_of(reader));
        return true;
    }
    return false;
}

int creator_note_readers(const unsigned char note[CREATOR_NOTE_BYTES],
                         uint32_t readers[CREATOR_READERS_MAX])
{
    int n = 0;
    while (n < CREATOR_READERS_MAX &&
           bytes_get_u32(note + NOTE_READERS + (size_t)n * READER_BYTES) != 0) {
        readers[n] = bytes_get_u32(note + NOTE_READERS + (size_t)n * READER_BYTES);
        n++;
    }
    return n;
}

/* --- how many notes each creator has --- */

struct creator {
    uint32_t notes;
    uint32_t asked; /* of these, articles that may be forgotten */
};

struct creators {
    struct slots *slots;
    struct creator *by_slot;
    uint32_t notes;
};

struct creators *creators_new(uint32_t max, uint64_t seed)
{
    struct creators *creators = calloc(1, sizeof *creators);
    if (creators == NULL)
        return NULL;
    creators->slots = slots_new(max, seed);
    creators->by_slot = calloc(max, sizeof *creators->by_slot);
    if (creators->slots == NULL || creators->by_slot == NULL) {
        creators_free(creators);
        return NULL;
    }
    return creators;
}

void creators_free(struct creators *creators)
{
    if (creators == NULL)
        return;
    slots_free(creators->slots);
    free(creators->by_slot);
    free(creators);
}

void creators_add(struct creators *creators, uint64_t tag)
{
    uint32_t slot = slots_find(creators->slots, tag);
    if (slot == SLOTS_NONE) {
        slot = slots_add(creators->slots, tag);
        creators->by_slot[slot] = (struct creator){0};
    }
    creators->by_slot[slot].notes++;
    creators->notes++;
}

void creators_remove(struct creators *creators, uint64_t tag, bool asked)
{
    uint32_t slot = slots_find(creators->slots, tag);
    if (slot == SLOTS_NONE)
        return;
    struct creator *creator = &creators->by_slot[slot];
    creators->notes--;
    creator->notes--;
    if (asked)
        creator->asked--;
    if (creator->notes == 0)
        slots_remove(creators->slots, slot);
}

bool creators_ask(struct creators *creators, uint64_t tag)
{
    uint32_t slot = slots_find(creators->slots, tag);
    if (slot == SLOTS_NONE)
        return false;
    struct creator *creator = &creators->by_slot[slot];
    if (creator->notes - creator->asked <= CREATOR_KEPT)
        return false;
    creator->asked++;
    return true;
}

uint32_t creators_notes(const struct creators *creators)
{
    return creators->notes;
}
