/* The bytes of the file `registry` (FORMATS.md 4.5): a header and `max` entries. What is stored
 * here survives a kill of the broker at any instant: an article has its old state or its new one.
 * Pure; no ownership: the caller's memory is read and written in place. */
#ifndef TALLY_BROKER_PLUGIN_REGISTRY_LAYOUT_H
#define TALLY_BROKER_PLUGIN_REGISTRY_LAYOUT_H

#include "core/bytes.h"
#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTRY_LAYOUT_HEADER_BYTES 4096u

/* An entry. Hour and selector are outside the checksum. Each is changed by one store, so a broker
 * that is killed meanwhile leaves a whole entry. */
#define REGISTRY_LAYOUT_ENTRY_BYTES 296u
#define REGISTRY_LAYOUT_CRC 0u
#define REGISTRY_LAYOUT_HOUR 4u     /* last used, hours since 1970 */
#define REGISTRY_LAYOUT_SELECTOR 8u /* which copy is the state; 0: the article has none */
#define REGISTRY_LAYOUT_LENGTH 12u  /* 0: free; the checksum is of what follows from here */
#define REGISTRY_LAYOUT_ARTICLE 13u
#define REGISTRY_LAYOUT_COPIES 216u /* … to here */

/* A selector value: in place of the copies there is a note of the creator (creator.h). */
#define REGISTRY_LAYOUT_PROVISIONAL 3u

#define REGISTRY_LAYOUT_COPY_BYTES 40u
#define REGISTRY_LAYOUT_COPY_FLAGS 4u
#define REGISTRY_LAYOUT_COPY_OPENS 16u
#define REGISTRY_LAYOUT_COPY_CLOSES 24u
#define REGISTRY_LAYOUT_COPY_KINDS 32u

#define REGISTRY_LAYOUT_CLOSED 1u /* flags of a state */
#define REGISTRY_LAYOUT_SOME_KINDS 2u
#define REGISTRY_LAYOUT_AFTER_CLOSE 4u
#define REGISTRY_LAYOUT_UNPASSED 8u /* an operator's, not passed on by any feed yet */

/* A state as stored. */
struct registry_layout_state {
    uint32_t flags;
    uint64_t version, opens_at_ms, closes_at_ms;
    uint64_t kinds; /* indexes of the header's names, 4 bits each, the first lowest; 0 ends them */
};

/* Size of the file and of the memory, in bytes. */
size_t registry_layout_bytes(uint32_t max);

/* Turns zeroed memory into an empty file of `max` articles. */
void registry_layout_format(unsigned char *memory, uint32_t max, const struct kind_table *kinds);

/* Whether the file is intact as a whole, and of `max` articles and these kinds. (Each article and
 * state has its own checksum.) */
bool registry_layout_fits(const unsigned char *memory, size_t bytes, uint32_t max,
                          const struct kind_table *kinds);

/* The names of the kinds in a file's states. -1, and none, if its header is damaged. */
int registry_layout_kinds(struct kind_table *kinds, const unsigned char *memory, size_t bytes);

/* --- an entry --- */

static inline unsigned char *registry_layout_entry(unsigned char *memory, uint32_t slot)
{
    return memory + REGISTRY_LAYOUT_HEADER_BYTES + (size_t)slot * REGISTRY_LAYOUT_ENTRY_BYTES;
}

static inline const char *registry_layout_article(const unsigned char *entry)
{
    return (const char *)entry + REGISTRY_LAYOUT_ARTICLE;
}

static inline uint32_t registry_layout_hour(const unsigned char *entry)
{
    return bytes_get_u32(entry + REGISTRY_LAYOUT_HOUR);
}

static inline uint32_t registry_layout_hour_of(uint64_t unix_ms)
{
    return (uint32_t)(unix_ms / 3600000u);
}

static inline unsigned char *registry_layout_note(unsigned char *entry)
{
    return entry + REGISTRY_LAYOUT_COPIES;
}

/* The copy that holds the article's state; NULL: it has none. */
static inline unsigned char *registry_layout_copy(unsigned char *entry)
{
    unsigned selector = entry[REGISTRY_LAYOUT_SELECTOR];
    return selector == 0 || selector == REGISTRY_LAYOUT_PROVISIONAL
               ? NULL
               : entry + REGISTRY_LAYOUT_COPIES + (selector - 1) * REGISTRY_LAYOUT_COPY_BYTES;
}

/* Whether the selector names a note, and the note is whole. A damaged one counts as a damaged
 * state. */
bool registry_layout_is_provisional(const unsigned char *entry);

/* A valid article, its hour and its length: without a state and without a note. `out` is zeroed. */
void registry_layout_write_entry(unsigned char *out, const char *article, size_t article_bytes,
                                 uint32_t hour);

/* Overwrites an entry with another. It counts as free until the last store. */
void registry_layout_replace_entry(unsigned char *entry, const unsigned char *with);

void registry_layout_free_entry(unsigned char *entry);

/* The article has no state any more, or is not provisional any more. One store. */
void registry_layout_clear_selector(unsigned char *entry);

/* A whole entry that was found in a file. */
struct registry_layout_found {
    const unsigned char *entry;
    uint32_t hour;
    bool by_operator; /* it has a state, which may be damaged */
};

/* The whole entries among `entries`, sorted from the first to forget to the last. The caller frees
 * them. NULL if memory is short. `*damaged` is raised by those that are not whole. */
struct registry_layout_found *registry_layout_find(const unsigned char *memory, size_t entries,
                                                   size_t *found_n, uint32_t *damaged);

/* --- a state --- */

struct registry_layout_state registry_layout_read_state(const unsigned char *copy);

/* Writes the state into the copy that is not selected, then selects it. */
void registry_layout_write_state(unsigned char *entry, const struct registry_layout_state *state);

/* Whether the selector names a copy that is whole, and of kinds 1 to `kinds`. */
bool registry_layout_state_whole(const unsigned char *entry, int kinds);

#endif
