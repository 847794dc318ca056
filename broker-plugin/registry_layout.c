/* The bytes of the file `registry`: header, entries, the two copies of a state, their checksums,
 * and the order of the stores that change them. */
#include "registry_layout.h"

#include "creator.h"

#include "core/article.h"
#include "core/crc32c.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1u
#define OFFSET_VERSION 8u
#define OFFSET_ENTRY_BYTES 12u
#define OFFSET_MAX 16u
#define OFFSET_KINDS 20u
#define OFFSET_KIND_NAMES 24u
#define OFFSET_HEADER_CRC (OFFSET_KIND_NAMES + KIND_MAX * KIND_NAME_MAX_BYTES)

#define HEADER_BYTES REGISTRY_LAYOUT_HEADER_BYTES
#define ENTRY_BYTES REGISTRY_LAYOUT_ENTRY_BYTES
#define ENTRY_CRC REGISTRY_LAYOUT_CRC
#define ENTRY_SELECTOR REGISTRY_LAYOUT_SELECTOR
#define ENTRY_LENGTH REGISTRY_LAYOUT_LENGTH
#define ENTRY_ARTICLE REGISTRY_LAYOUT_ARTICLE
#define ENTRY_COPIES REGISTRY_LAYOUT_COPIES
#define PROVISIONAL REGISTRY_LAYOUT_PROVISIONAL

#define COPY_BYTES REGISTRY_LAYOUT_COPY_BYTES
#define COPY_CRC 0u
#define COPY_FLAGS REGISTRY_LAYOUT_COPY_FLAGS /* the checksum is of what follows from here */
#define COPY_VERSION 8u
#define COPY_OPENS REGISTRY_LAYOUT_COPY_OPENS
#define COPY_CLOSES REGISTRY_LAYOUT_COPY_CLOSES
#define COPY_KINDS REGISTRY_LAYOUT_COPY_KINDS

#define FLAGS                                                                                      \
    (REGISTRY_LAYOUT_CLOSED | REGISTRY_LAYOUT_SOME_KINDS | REGISTRY_LAYOUT_AFTER_CLOSE |           \
     REGISTRY_LAYOUT_UNPASSED)

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'R', 'E', 'G'};

_Static_assert(ENTRY_ARTICLE + ARTICLE_MAX_BYTES <= ENTRY_COPIES, "room for an article");
_Static_assert(ENTRY_COPIES + 2 * COPY_BYTES == ENTRY_BYTES, "two copies of a state");
_Static_assert(2 * COPY_BYTES >= CREATOR_NOTE_BYTES, "room for a note");
_Static_assert(OFFSET_HEADER_CRC + 4 <= HEADER_BYTES, "room for the names of the kinds");

/* --- the header --- */

size_t registry_layout_bytes(uint32_t max)
{
    return HEADER_BYTES + (size_t)max * ENTRY_BYTES;
}

void registry_layout_format(unsigned char *memory, uint32_t max, const struct kind_table *kinds)
{
    memcpy(memory, magic, sizeof magic);
    bytes_put_u32(memory + OFFSET_VERSION, VERSION);
    bytes_put_u32(memory + OFFSET_ENTRY_BYTES, ENTRY_BYTES);
    bytes_put_u32(memory + OFFSET_MAX, max);
    bytes_put_u32(memory + OFFSET_KINDS, (uint32_t)kinds->n);
    for (int i = 1; i <= kinds->n; i++)
        memcpy(memory + OFFSET_KIND_NAMES + (size_t)(i - 1) * KIND_NAME_MAX_BYTES, kinds->name[i],
               KIND_NAME_MAX_BYTES);
    bytes_put_u32(memory + OFFSET_HEADER_CRC, crc32c(0, memory, OFFSET_HEADER_CRC));
}

int registry_layout_kinds(struct kind_table *kinds, const unsigned char *memory, size_t bytes)
{
    kind_table_init(kinds);
    if (bytes < HEADER_BYTES || memcmp(memory, magic, sizeof magic) != 0 ||
        bytes_get_u32(memory + OFFSET_VERSION) != VERSION ||
        bytes_get_u32(memory + OFFSET_KINDS) > KIND_MAX ||
        bytes_get_u32(memory + OFFSET_HEADER_CRC) != crc32c(0, memory, OFFSET_HEADER_CRC))
        return -1;
    for (uint32_t i = 0; i < bytes_get_u32(memory + OFFSET_KINDS); i++) {
        const char *name = (const char *)memory + OFFSET_KIND_NAMES + i * KIND_NAME_MAX_BYTES;
        if (kind_table_add(kinds, name, strnlen(name, KIND_NAME_MAX_BYTES)) == KIND_UNKNOWN) {
            kind_table_init(kinds);
            return -1;
        }
    }
    return 0;
}

static bool layout_same_kinds(const struct kind_table *one, const struct kind_table *other)
{
    if (one->n != other->n)
        return false;
    for (int i = 1; i <= one->n; i++)
        if (strcmp(one->name[i], other->name[i]) != 0)
            return false;
    return true;
}

bool registry_layout_fits(const unsigned char *memory, size_t bytes, uint32_t max,
                          const struct kind_table *kinds)
{
    struct kind_table theirs;
    return bytes == registry_layout_bytes(max) &&
           registry_layout_kinds(&theirs, memory, bytes) == 0 &&
           bytes_get_u32(memory + OFFSET_ENTRY_BYTES) == ENTRY_BYTES &&
           bytes_get_u32(memory + OFFSET_MAX) == max && layout_same_kinds(&theirs, kinds);
}

/* --- an entry --- */

/* One store, which comes after everything written before it. The compiler must not reorder these
 * (the processor completes a killed process's stores in their order). */
static void store_byte(unsigned char *at, unsigned value)
{
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile unsigned char *)at = (unsigned char)value;
    atomic_signal_fence(memory_order_seq_cst);
}

static uint32_t entry_crc(const unsigned char *entry)
{
    return crc32c(0, entry + ENTRY_LENGTH, ENTRY_COPIES - ENTRY_LENGTH);
}

static bool entry_whole(const unsigned char *entry)
{
    return entry_crc(entry) == bytes_get_u32(entry + ENTRY_CRC) &&
           article_valid(registry_layout_article(entry), entry[ENTRY_LENGTH]);
}

bool registry_layout_is_provisional(const unsigned char *entry)
{
    return entry[ENTRY_SELECTOR] == PROVISIONAL && creator_note_whole(entry + ENTRY_COPIES);
}

void registry_layout_write_entry(unsigned char *out, const char *article, size_t article_bytes,
                                 uint32_t hour)
{
    out[ENTRY_LENGTH] = (unsigned char)article_bytes;
    memcpy(out + ENTRY_ARTICLE, article, article_bytes);
    bytes_put_u32(out + REGISTRY_LAYOUT_HOUR, hour);
    bytes_put_u32(out + ENTRY_CRC, entry_crc(out));
}

void registry_layout_replace_entry(unsigned char *entry, const unsigned char *with)
{
    store_byte(entry + ENTRY_LENGTH, 0);
    memcpy(entry, with, ENTRY_LENGTH);
    memcpy(entry + ENTRY_ARTICLE, with + ENTRY_ARTICLE, ENTRY_BYTES - ENTRY_ARTICLE);
    store_byte(entry + ENTRY_LENGTH, with[ENTRY_LENGTH]);
}

void registry_layout_free_entry(unsigned char *entry)
{
    store_byte(entry + ENTRY_LENGTH, 0);
}

void registry_layout_clear_selector(unsigned char *entry)
{
    store_byte(entry + ENTRY_SELECTOR, 0);
}

/* Sorts from first to forget to last. */
static int compare_found(const void *a, const void *b)
{
    const struct registry_layout_found *one = a, *other = b;
    if (one->by_operator != other->by_operator)
        return one->by_operator ? 1 : -1;
    return one->hour < other->hour ? -1 : one->hour > other->hour;
}

struct registry_layout_found *registry_layout_find(const unsigned char *memory, size_t entries,
                                                   size_t *found_n, uint32_t *damaged)
{
    struct registry_layout_found *found = calloc(entries > 0 ? entries : 1, sizeof *found);
    *found_n = 0;
    if (found == NULL)
        return NULL;
    for (size_t i = 0; i < entries; i++) {
        const unsigned char *entry = memory + HEADER_BYTES + i * ENTRY_BYTES;
        if (entry[ENTRY_LENGTH] == 0)
            continue;
        if (entry_whole(entry))
            found[(*found_n)++] = (struct registry_layout_found){
                entry, registry_layout_hour(entry),
                entry[ENTRY_SELECTOR] != 0 && !registry_layout_is_provisional(entry)};
        else
            ++*damaged;
    }
    qsort(found, *found_n, sizeof *found, compare_found);
    return found;
}

/* --- a state --- */

static unsigned char *copy_at(unsigned char *entry, unsigned selector)
{
    return entry + ENTRY_COPIES + (selector - 1) * COPY_BYTES;
}

struct registry_layout_state registry_layout_read_state(const unsigned char *copy)
{
    return (struct registry_layout_state){
        .flags = bytes_get_u32(copy + COPY_FLAGS),
        .version = bytes_get_u64(copy + COPY_VERSION),
        .opens_at_ms = bytes_get_u64(copy + COPY_OPENS),
        .closes_at_ms = bytes_get_u64(copy + COPY_CLOSES),
        .kinds = bytes_get_u64(copy + COPY_KINDS),
    };
}

static uint32_t copy_crc(const unsigned char *copy)
{
    return crc32c(0, copy + COPY_FLAGS, COPY_BYTES - COPY_FLAGS);
}

/* The second copy leaves the head of a note intact. */
void registry_layout_write_state(unsigned char *entry, const struct registry_layout_state *state)
{
    unsigned selector = entry[ENTRY_SELECTOR];
    unsigned other = selector == 1 || selector == PROVISIONAL ? 2 : 1;
    unsigned char *copy = copy_at(entry, other);

    bytes_put_u32(copy + COPY_FLAGS, state->flags);
    bytes_put_u64(copy + COPY_VERSION, state->version);
    bytes_put_u64(copy + COPY_OPENS, state->opens_at_ms);
    bytes_put_u64(copy + COPY_CLOSES, state->closes_at_ms);
    bytes_put_u64(copy + COPY_KINDS, state->kinds);
    bytes_put_u32(copy + COPY_CRC, copy_crc(copy));
    store_byte(entry + ENTRY_SELECTOR, other);
}

bool registry_layout_state_whole(const unsigned char *entry, int kinds)
{
    uint32_t seen = 0;
    unsigned selector = entry[ENTRY_SELECTOR];
    if (selector < 1 || selector > 2)
        return false;
    const unsigned char *copy = entry + ENTRY_COPIES + (selector - 1) * COPY_BYTES;
    struct registry_layout_state state = registry_layout_read_state(copy);
    if (copy_crc(copy) != bytes_get_u32(copy + COPY_CRC) || (state.flags & ~FLAGS) != 0 ||
        (state.closes_at_ms != 0 && state.closes_at_ms <= state.opens_at_ms))
        return false;
    for (uint64_t rest = state.kinds; rest != 0; rest >>= 4) {
        unsigned kind = rest & 15;
        if (kind == 0 || kind > (unsigned)kinds || (seen & 1u << kind))
            return false;
        seen |= 1u << kind;
    }
    return (state.flags & REGISTRY_LAYOUT_SOME_KINDS) || state.kinds == 0;
}
