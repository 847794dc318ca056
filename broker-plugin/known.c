#include "known.h"

#include "slots.h"

#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 4096u
#define VERSION 1u
#define OFFSET_VERSION 8u
#define OFFSET_ENTRY_BYTES 12u
#define OFFSET_MAX 16u
#define OFFSET_HEADER_CRC 20u

/* An entry. Hour and flag stand outside of the checksum: each is changed by one store, so that a
 * broker that is killed meanwhile leaves a whole entry. */
#define ENTRY_BYTES 216u
#define ENTRY_CRC 0u
#define ENTRY_HOUR 4u /* last used, hours since 1970 */
#define ENTRY_BY_OPERATOR 8u
#define ENTRY_LENGTH 12u /* 0: free; the checksum is of what follows from here */
#define ENTRY_ARTICLE 13u

#define HOUR_MS 3600000u
/* The operator's are never forgotten for another, but stand in the same order of use. Each that is
 * in the way is moved out of it, so that it costs this once. */
#define LOOKS_MAX 16

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'K', 'N', 'W'};

_Static_assert(ENTRY_ARTICLE + ARTICLE_MAX_BYTES <= ENTRY_BYTES, "room for an article");

struct known {
    unsigned char *entries;
    struct known_rules rules;
    struct slots *slots;
    uint64_t created; /* bucket of auto_create */
    uint32_t by_operator;
    uint32_t damaged;
};

size_t known_bytes(uint32_t max)
{
    return HEADER_BYTES + (size_t)max * ENTRY_BYTES;
}

void known_format(unsigned char *memory, uint32_t max)
{
    memcpy(memory, magic, sizeof magic);
    bytes_put_u32(memory + OFFSET_VERSION, VERSION);
    bytes_put_u32(memory + OFFSET_ENTRY_BYTES, ENTRY_BYTES);
    bytes_put_u32(memory + OFFSET_MAX, max);
    bytes_put_u32(memory + OFFSET_HEADER_CRC, crc32c(0, memory, OFFSET_HEADER_CRC));
}

bool known_fits(const unsigned char *memory, size_t bytes, uint32_t max)
{
    return bytes == known_bytes(max) && memcmp(memory, magic, sizeof magic) == 0 &&
           bytes_get_u32(memory + OFFSET_VERSION) == VERSION &&
           bytes_get_u32(memory + OFFSET_ENTRY_BYTES) == ENTRY_BYTES &&
           bytes_get_u32(memory + OFFSET_MAX) == max &&
           bytes_get_u32(memory + OFFSET_HEADER_CRC) == crc32c(0, memory, OFFSET_HEADER_CRC);
}

static unsigned char *entry_of(const struct known *known, uint32_t slot)
{
    return known->entries + (size_t)slot * ENTRY_BYTES;
}

static uint32_t entry_crc(const unsigned char *entry)
{
    return crc32c(0, entry + ENTRY_LENGTH, ENTRY_BYTES - ENTRY_LENGTH);
}

static bool entry_whole(const unsigned char *entry)
{
    return entry_crc(entry) == bytes_get_u32(entry + ENTRY_CRC) &&
           article_valid((const char *)entry + ENTRY_ARTICLE, entry[ENTRY_LENGTH]);
}

static uint64_t key_of(const struct known *known, const char *article, size_t article_bytes)
{
    return reader_hash(&known->rules.key, article, article_bytes, 'a', "", 0);
}

static uint32_t hour_of(uint64_t unix_ms)
{
    return (uint32_t)(unix_ms / HOUR_MS);
}

/* --- what was there --- */

struct found {
    const unsigned char *entry;
    uint32_t hour;
    bool by_operator;
};

/* From those to forget first to those to keep. */
static int compare_found(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    if (one->by_operator != other->by_operator)
        return one->by_operator ? 1 : -1;
    return one->hour < other->hour ? -1 : one->hour > other->hour;
}

/* The whole entries among `n`, sorted. NULL for no memory. */
static struct found *find_entries(const unsigned char *entries, size_t n, size_t *found_n,
                                  uint32_t *damaged)
{
    struct found *found = calloc(n > 0 ? n : 1, sizeof *found);
    *found_n = 0;
    if (found == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *entry = entries + i * ENTRY_BYTES;
        if (entry[ENTRY_LENGTH] == 0)
            continue;
        if (entry_whole(entry))
            found[(*found_n)++] = (struct found){entry, bytes_get_u32(entry + ENTRY_HOUR),
                                                 entry[ENTRY_BY_OPERATOR] != 0};
        else
            ++*damaged;
    }
    qsort(found, *found_n, sizeof *found, compare_found);
    return found;
}

/* Takes in an entry that lies in the slot. */
static void index_entry(struct known *known, uint32_t slot)
{
    unsigned char *entry = entry_of(known, slot);
    uint64_t key = key_of(known, (const char *)entry + ENTRY_ARTICLE, entry[ENTRY_LENGTH]);
    if (slots_find(known->slots, key) != SLOTS_NONE)
        return;
    slots_place(known->slots, slot, key);
    if (entry[ENTRY_BY_OPERATOR] != 0)
        known->by_operator++;
}

struct known *known_new(unsigned char *memory, const struct known_rules *rules)
{
    size_t n;
    struct found *found = NULL;
    struct known *known = calloc(1, sizeof *known);
    if (known == NULL)
        return NULL;
    known->entries = memory + HEADER_BYTES;
    known->rules = *rules;
    known->slots = slots_new(rules->max, rules->seed);
    if (known->slots != NULL)
        found = find_entries(known->entries, rules->max, &n, &known->damaged);
    if (found == NULL) {
        known_free(known);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        index_entry(known, (uint32_t)((size_t)(found[i].entry - known->entries) / ENTRY_BYTES));
    free(found);
    return known;
}

void known_free(struct known *known)
{
    if (known == NULL)
        return;
    slots_free(known->slots);
    explicit_bzero(known, sizeof *known);
    free(known);
}

int known_take_over(struct known *known, const unsigned char *memory, size_t bytes)
{
    size_t n;
    size_t entries_n = bytes > HEADER_BYTES ? (bytes - HEADER_BYTES) / ENTRY_BYTES : 0;
    if (entries_n == 0)
        return 0;
    struct found *found = find_entries(memory + HEADER_BYTES, entries_n, &n, &known->damaged);
    if (found == NULL)
        return -1;
    uint32_t room = known->rules.max - slots_count(known->slots);
    for (size_t i = n > room ? n - room : 0; i < n; i++) {
        bool used;
        uint32_t slot = slots_stalest(known->slots, &used);
        memcpy(entry_of(known, slot), found[i].entry, ENTRY_BYTES);
        index_entry(known, slot);
    }
    free(found);
    return 0;
}

uint32_t known_count(const struct known *known)
{
    return slots_count(known->slots);
}

uint32_t known_damaged(const struct known *known)
{
    return known->damaged;
}

/* --- forgetting --- */

/* A slot for another article: a free one, or one of the readers' that is quiet; any of the readers'
 * where `even_used`. SLOTS_NONE: there is none, or none was found in LOOKS_MAX. */
static uint32_t find_room(struct known *known, uint64_t unix_ms, bool even_used)
{
    uint32_t looks = even_used ? known->rules.max : LOOKS_MAX;
    bool used;

    if (known->by_operator == known->rules.max)
        return SLOTS_NONE;
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t slot = slots_stalest(known->slots, &used);
        const unsigned char *entry = entry_of(known, slot);
        if (!used)
            return slot;
        if (entry[ENTRY_BY_OPERATOR] != 0) {
            slots_touch(known->slots, slot);
            continue;
        }
        uint64_t hour = bytes_get_u32(entry + ENTRY_HOUR);
        return even_used || hour_of(unix_ms) >= hour + KNOWN_QUIET_HOURS ? slot : SLOTS_NONE;
    }
    return SLOTS_NONE;
}

/* Writes an article over whatever the slot had. */
static void store(struct known *known, uint32_t slot, uint64_t key, const char *article,
                  size_t article_bytes, bool by_operator, uint64_t unix_ms)
{
    unsigned char entry[ENTRY_BYTES] = {0};

    entry[ENTRY_LENGTH] = (unsigned char)article_bytes;
    memcpy(entry + ENTRY_ARTICLE, article, article_bytes);
    entry[ENTRY_BY_OPERATOR] = by_operator;
    bytes_put_u32(entry + ENTRY_HOUR, hour_of(unix_ms));
    bytes_put_u32(entry + ENTRY_CRC, entry_crc(entry));
    memcpy(entry_of(known, slot), entry, sizeof entry);
    slots_place(known->slots, slot, key);
    if (by_operator)
        known->by_operator++;
}

/* --- deciding --- */

struct known_answer known_judge(struct known *known, const char *article, size_t article_bytes,
                                uint64_t now_ns, uint64_t unix_ms)
{
    const struct known_rules *rules = &known->rules;
    struct known_answer answer = {.verdict = KNOWN_NO,
                                  .key = key_of(known, article, article_bytes)};

    answer.slot = slots_find(known->slots, answer.key);
    if (answer.slot != SLOTS_NONE) {
        if (rules->auto_create || entry_of(known, answer.slot)[ENTRY_BY_OPERATOR] != 0)
            answer.verdict = KNOWN_YES;
    } else if (rules->auto_create && limit_left(&rules->auto_create_rate, known->created, now_ns)) {
        answer.slot = find_room(known, unix_ms, false);
        if (answer.slot != SLOTS_NONE)
            answer.verdict = KNOWN_MAY_BE;
    }
    return answer;
}

void known_use(struct known *known, const struct known_answer *answer, const char *article,
               size_t article_bytes, uint64_t now_ns, uint64_t unix_ms)
{
    if (answer->verdict == KNOWN_MAY_BE) {
        known->created = limit_taken(&known->rules.auto_create_rate, known->created, now_ns);
        store(known, answer->slot, answer->key, article, article_bytes, false, unix_ms);
        return;
    }
    unsigned char *entry = entry_of(known, answer->slot);
    slots_touch(known->slots, answer->slot);
    /* At most a store an hour: the file's pages are not written back for nothing. */
    if (bytes_get_u32(entry + ENTRY_HOUR) != hour_of(unix_ms))
        bytes_put_u32(entry + ENTRY_HOUR, hour_of(unix_ms));
}

bool known_by_operator(struct known *known, const char *article, size_t article_bytes,
                       uint64_t unix_ms)
{
    uint64_t key = key_of(known, article, article_bytes);
    uint32_t slot = slots_find(known->slots, key);

    if (slot != SLOTS_NONE) {
        unsigned char *entry = entry_of(known, slot);
        if (entry[ENTRY_BY_OPERATOR] == 0)
            known->by_operator++;
        entry[ENTRY_BY_OPERATOR] = 1;
        return true;
    }
    slot = find_room(known, unix_ms, true);
    if (slot == SLOTS_NONE)
        return false;
    store(known, slot, key, article, article_bytes, true, unix_ms);
    return true;
}

void known_by_operator_no_more(struct known *known, const char *article, size_t article_bytes)
{
    uint32_t slot = slots_find(known->slots, key_of(known, article, article_bytes));
    if (slot == SLOTS_NONE || entry_of(known, slot)[ENTRY_BY_OPERATOR] == 0)
        return;
    entry_of(known, slot)[ENTRY_BY_OPERATOR] = 0;
    known->by_operator--;
}

void known_by_total(struct known *known, const char *article, size_t article_bytes,
                    uint64_t unix_ms)
{
    uint64_t key = key_of(known, article, article_bytes);

    if (!known->rules.auto_create || slots_find(known->slots, key) != SLOTS_NONE)
        return;
    uint32_t slot = find_room(known, unix_ms, false);
    if (slot != SLOTS_NONE)
        store(known, slot, key, article, article_bytes, false, unix_ms);
}
