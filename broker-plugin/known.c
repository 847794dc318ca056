#include "known.h"

#include "core/slots.h"

#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 4096u
#define VERSION 3u
#define OFFSET_VERSION 8u
#define OFFSET_ENTRY_BYTES 12u
#define OFFSET_MAX 16u
#define OFFSET_KINDS 20u
#define OFFSET_KIND_NAMES 24u
#define OFFSET_HEADER_CRC (OFFSET_KIND_NAMES + KIND_MAX * KIND_NAME_MAX_BYTES)

/* An entry. Hour and selector are outside the checksum. Each is changed by one store, so a broker
 * that is killed meanwhile leaves a whole entry. A state works the same way: it is written into the
 * copy that is not selected, then the selector is stored. */
#define ENTRY_BYTES 296u
#define ENTRY_CRC 0u
#define ENTRY_HOUR 4u     /* last used, hours since 1970 */
#define ENTRY_SELECTOR 8u /* which copy is the state; 0: it has none; PROVISIONAL: likewise */
#define ENTRY_LENGTH 12u  /* 0: free; the checksum is of what follows from here */
#define ENTRY_ARTICLE 13u
#define ENTRY_CRC_END 216u /* … to here */
#define ENTRY_COPIES 216u

/* A selector value: in place of the copies there is a note of the creator (creator.h). */
#define PROVISIONAL 3u

#define COPY_BYTES 40u
#define COPY_CRC 0u
#define COPY_FLAGS 4u /* the checksum is of what follows from here */
#define COPY_VERSION 8u
#define COPY_OPENS 16u
#define COPY_CLOSES 24u
#define COPY_KINDS                                                                                 \
    32u /* indexes of the header's names, 4 bits each, the first lowest; 0 ends them */

#define FLAG_CLOSED 1u
#define FLAG_KINDS 2u
#define FLAG_AFTER_CLOSE 4u
#define FLAG_UNPASSED 8u /* an operator's, not passed on by any feed yet */
#define FLAGS 15u

/* Version 2 had no notes. In version 1 an entry ended with the article, and the selector said that
 * it was an operator's. */
#define V2_VERSION 2u
#define V1_VERSION 1u
#define V1_ENTRY_BYTES 216u

#define HOUR_MS 3600000u
/* Articles with a state are never evicted for another, but share the same order of use. Each one in
 * the way is moved out of it, so it costs this only once. */
#define LOOKS_MAX 16

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'K', 'N', 'W'};

_Static_assert(ENTRY_ARTICLE + ARTICLE_MAX_BYTES <= ENTRY_CRC_END, "room for an article");
_Static_assert(ENTRY_COPIES + 2 * COPY_BYTES == ENTRY_BYTES, "two copies of a state");
_Static_assert(2 * COPY_BYTES >= CREATOR_NOTE_BYTES, "room for a note");
_Static_assert(OFFSET_HEADER_CRC + 4 <= HEADER_BYTES, "room for the names of the kinds");

struct known {
    unsigned char *entries;
    struct known_rules rules;
    struct slots *slots;
    uint64_t created; /* bucket of auto_create */
    uint32_t by_operator;
    uint32_t damaged, damaged_states;
    uint32_t *unpassed; /* slots of states that no feed had passed on */
    uint32_t unpassed_n, unpassed_at;
    struct creators *creators;
    unsigned char *marks; /* by slot: NOTED, ASKED */
    uint32_t quiet_at;    /* where known_next_quiet continues */
    uint64_t forgotten;
};

#define NOTED 1u /* the entry's note is among the creators' */
#define ASKED 2u /* creators_ask returned true for it */

size_t known_bytes(uint32_t max)
{
    return HEADER_BYTES + (size_t)max * ENTRY_BYTES;
}

void known_format(unsigned char *memory, uint32_t max, const struct kind_table *kinds)
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

/* The names of the kinds in a file's states. -1, and none, if its header is damaged. */
static int read_kinds(struct kind_table *kinds, const unsigned char *memory, size_t bytes)
{
    kind_table_init(kinds);
    if (bytes < HEADER_BYTES || memcmp(memory, magic, sizeof magic) != 0 ||
        (bytes_get_u32(memory + OFFSET_VERSION) != VERSION &&
         bytes_get_u32(memory + OFFSET_VERSION) != V2_VERSION) ||
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

static bool same_kinds(const struct kind_table *one, const struct kind_table *other)
{
    if (one->n != other->n)
        return false;
    for (int i = 1; i <= one->n; i++)
        if (strcmp(one->name[i], other->name[i]) != 0)
            return false;
    return true;
}

bool known_fits(const unsigned char *memory, size_t bytes, uint32_t max,
                const struct kind_table *kinds)
{
    struct kind_table theirs;
    return bytes == known_bytes(max) && read_kinds(&theirs, memory, bytes) == 0 &&
           bytes_get_u32(memory + OFFSET_VERSION) == VERSION &&
           bytes_get_u32(memory + OFFSET_ENTRY_BYTES) == ENTRY_BYTES &&
           bytes_get_u32(memory + OFFSET_MAX) == max && same_kinds(&theirs, kinds);
}

static unsigned char *entry_of(const struct known *known, uint32_t slot)
{
    return known->entries + (size_t)slot * ENTRY_BYTES;
}

static uint32_t entry_crc(const unsigned char *entry)
{
    return crc32c(0, entry + ENTRY_LENGTH, ENTRY_CRC_END - ENTRY_LENGTH);
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

/* --- a state, as stored --- */

struct kept_state {
    uint32_t flags;
    uint64_t version, opens_at_ms, closes_at_ms, kinds;
};

/* The copy that a selector names; NULL: none. */
static unsigned char *copy_of(unsigned char *entry, unsigned selector)
{
    return selector == 0 || selector == PROVISIONAL
               ? NULL
               : entry + ENTRY_COPIES + (selector - 1) * COPY_BYTES;
}

static struct kept_state read_copy(const unsigned char *copy)
{
    return (struct kept_state){
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

static void write_copy(unsigned char *copy, const struct kept_state *state)
{
    bytes_put_u32(copy + COPY_FLAGS, state->flags);
    bytes_put_u64(copy + COPY_VERSION, state->version);
    bytes_put_u64(copy + COPY_OPENS, state->opens_at_ms);
    bytes_put_u64(copy + COPY_CLOSES, state->closes_at_ms);
    bytes_put_u64(copy + COPY_KINDS, state->kinds);
    bytes_put_u32(copy + COPY_CRC, copy_crc(copy));
}

/* Whether a copy is whole, and of kinds 1 to `kinds`. */
static bool copy_whole(const unsigned char *copy, int kinds)
{
    uint32_t seen = 0;
    struct kept_state state = read_copy(copy);
    if (copy_crc(copy) != bytes_get_u32(copy + COPY_CRC) || (state.flags & ~FLAGS) != 0 ||
        (state.closes_at_ms != 0 && state.closes_at_ms <= state.opens_at_ms))
        return false;
    for (uint64_t rest = state.kinds; rest != 0; rest >>= 4) {
        unsigned kind = rest & 15;
        if (kind == 0 || kind > (unsigned)kinds || (seen & 1u << kind))
            return false;
        seen |= 1u << kind;
    }
    return (state.flags & FLAG_KINDS) || state.kinds == 0;
}

/* One store, which comes after everything written before it. The compiler must not reorder these
 * (the processor completes a killed process's stores in their order). */
static void store_byte(unsigned char *at, unsigned value)
{
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile unsigned char *)at = (unsigned char)value;
    atomic_signal_fence(memory_order_seq_cst);
}

/* The second copy leaves the head of a note intact. */
static void set_state(unsigned char *entry, const struct kept_state *state)
{
    unsigned selector = entry[ENTRY_SELECTOR];
    unsigned other = selector == 1 || selector == PROVISIONAL ? 2 : 1;
    write_copy(copy_of(entry, other), state);
    store_byte(entry + ENTRY_SELECTOR, other);
}

/* The kinds for the names in a state, by `table`. False if one is not in it. */
static bool keep_kinds(const struct article_state *state, const struct kind_table *table,
                       uint64_t *out)
{
    bool all = true;
    unsigned n = 0;
    *out = 0;
    for (int i = 0; i < state->kinds; i++) {
        int kind = kind_find(table, state->kind[i], strlen(state->kind[i]));
        if (kind > KIND_NONE)
            *out |= (uint64_t)kind << 4 * n++;
        else
            all = false;
    }
    return all;
}

/* The same kinds by another table; those it lacks are dropped. */
static uint64_t translate(uint64_t kinds, const struct kind_table *from,
                          const struct kind_table *to)
{
    uint64_t out = 0;
    unsigned n = 0;
    for (; kinds != 0; kinds >>= 4) {
        const char *name = from->name[kinds & 15];
        int kind = kind_find(to, name, strlen(name));
        if (kind > KIND_NONE)
            out |= (uint64_t)kind << 4 * n++;
    }
    return out;
}

bool known_offers(const unsigned char *state, int kind)
{
    if (!(bytes_get_u32(state + COPY_FLAGS) & FLAG_KINDS) || kind == KIND_NONE)
        return true;
    for (uint64_t rest = bytes_get_u64(state + COPY_KINDS); rest != 0; rest >>= 4)
        if ((int)(rest & 15) == kind)
            return true;
    return false;
}

bool known_takes(const unsigned char *state, uint64_t unix_ms)
{
    uint64_t closes_at_ms = bytes_get_u64(state + COPY_CLOSES);
    return !(bytes_get_u32(state + COPY_FLAGS) & FLAG_CLOSED) &&
           unix_ms >= bytes_get_u64(state + COPY_OPENS) &&
           (closes_at_ms == 0 || unix_ms < closes_at_ms);
}

/* --- the previous contents --- */

struct found {
    const unsigned char *entry;
    uint32_t hour;
    bool by_operator;
};

/* Sorts from first to forget to last. */
static int compare_found(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    if (one->by_operator != other->by_operator)
        return one->by_operator ? 1 : -1;
    return one->hour < other->hour ? -1 : one->hour > other->hour;
}

/* Whether what an entry's selector names is a note. A damaged one counts as a damaged state. */
static bool is_provisional(const unsigned char *entry)
{
    return entry[ENTRY_SELECTOR] == PROVISIONAL && creator_note_whole(entry + ENTRY_COPIES);
}

/* The valid entries among `n` of `entry_bytes`, sorted. `notes`: there may be some. NULL if memory
 * is short. */
static struct found *find_entries(const unsigned char *entries, size_t n, size_t entry_bytes,
                                  bool notes, size_t *found_n, uint32_t *damaged)
{
    struct found *found = calloc(n > 0 ? n : 1, sizeof *found);
    *found_n = 0;
    if (found == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *entry = entries + i * entry_bytes;
        if (entry[ENTRY_LENGTH] == 0)
            continue;
        if (entry_whole(entry))
            found[(*found_n)++] =
                (struct found){entry, bytes_get_u32(entry + ENTRY_HOUR),
                               entry[ENTRY_SELECTOR] != 0 && !(notes && is_provisional(entry))};
        else
            ++*damaged;
    }
    qsort(found, *found_n, sizeof *found, compare_found);
    return found;
}

/* The value of an unreadable state: damage must not open a closed article. */
static struct kept_state damaged_state(struct known *known)
{
    known->damaged_states++;
    return (struct kept_state){.flags = FLAG_CLOSED};
}

/* --- notes of creators --- */

static void index_note(struct known *known, uint32_t slot)
{
    known->marks[slot] = NOTED;
    creators_add(known->creators, creator_note_tag(entry_of(known, slot) + ENTRY_COPIES));
}

static void unindex_note(struct known *known, uint32_t slot)
{
    if (known->marks[slot] & NOTED)
        creators_remove(known->creators, creator_note_tag(entry_of(known, slot) + ENTRY_COPIES),
                        (known->marks[slot] & ASKED) != 0);
    known->marks[slot] = 0;
}

/* It is no longer provisional. */
static void confirm(struct known *known, uint32_t slot)
{
    unindex_note(known, slot);
    store_byte(entry_of(known, slot) + ENTRY_SELECTOR, 0);
}

static uint64_t tag_of(const struct known *known, const struct known_who *who)
{
    unsigned char key[8];
    bytes_put_u64(key, who->key);
    return reader_hash(&known->rules.creator_key, "", 0, who->address ? 'a' : 'r',
                       (const char *)key, sizeof key);
}

/* Frees a slot. */
static void drop(struct known *known, uint32_t slot)
{
    unsigned char *entry = entry_of(known, slot);
    store_byte(entry + ENTRY_LENGTH, 0);
    if (copy_of(entry, entry[ENTRY_SELECTOR]) != NULL)
        known->by_operator--;
    unindex_note(known, slot);
    entry[ENTRY_SELECTOR] = 0;
    slots_remove(known->slots, slot);
}

/* Takes in the entry in this slot. After a machine crash an article may be in two entries, because
 * pages are written in any order. The later one in find_entries counts; it has the state if only
 * one has. */
static void index_entry(struct known *known, uint32_t slot)
{
    unsigned char *entry = entry_of(known, slot);
    unsigned selector = entry[ENTRY_SELECTOR];
    uint64_t key = key_of(known, (const char *)entry + ENTRY_ARTICLE, entry[ENTRY_LENGTH]);
    uint32_t former = slots_find(known->slots, key);
    if (former != SLOTS_NONE)
        drop(known, former);
    slots_place(known->slots, slot, key);
    if (is_provisional(entry))
        index_note(known, slot);
    if (selector == 0 || is_provisional(entry))
        return;
    known->by_operator++;
    if (selector > 2 || !copy_whole(copy_of(entry, selector), known->rules.kinds.n)) {
        struct kept_state closed = damaged_state(known);
        set_state(entry, &closed);
    }
    if (bytes_get_u32(copy_of(entry, entry[ENTRY_SELECTOR]) + COPY_FLAGS) & FLAG_UNPASSED)
        known->unpassed[known->unpassed_n++] = slot;
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
    known->unpassed = calloc(rules->max, sizeof *known->unpassed);
    known->creators = creators_new(rules->max, rules->seed);
    known->marks = calloc(rules->max, 1);
    if (known->slots != NULL && known->unpassed != NULL && known->creators != NULL &&
        known->marks != NULL)
        found = find_entries(known->entries, rules->max, ENTRY_BYTES, true, &n, &known->damaged);
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
    free(known->unpassed);
    creators_free(known->creators);
    free(known->marks);
    explicit_bzero(known, sizeof *known);
    free(known);
}

/* The state of an entry that has one, from another file of any version. */
static struct kept_state foreign_state(struct known *known, const unsigned char *entry,
                                       bool version_1, const struct kind_table *kinds)
{
    unsigned selector = entry[ENTRY_SELECTOR];
    if (version_1) /* an operator made it known here. It is not said again: another edge's may have
                      closed it since */
        return (struct kept_state){0};
    if (selector > 2)
        return damaged_state(known);
    const unsigned char *copy = entry + ENTRY_COPIES + (selector - 1) * COPY_BYTES;
    if (!copy_whole(copy, kinds->n))
        return damaged_state(known);
    struct kept_state state = read_copy(copy);
    state.kinds = translate(state.kinds, kinds, &known->rules.kinds);
    return state;
}

int known_take_over(struct known *known, const unsigned char *memory, size_t bytes)
{
    struct kind_table kinds;
    size_t n;
    bool notes = bytes > HEADER_BYTES && bytes_get_u32(memory + OFFSET_VERSION) == VERSION;
    bool version_1 = bytes > HEADER_BYTES && bytes_get_u32(memory + OFFSET_VERSION) == V1_VERSION;
    size_t entry_bytes = version_1 ? V1_ENTRY_BYTES : ENTRY_BYTES;
    size_t entries_n = bytes > HEADER_BYTES ? (bytes - HEADER_BYTES) / entry_bytes : 0;
    if (entries_n == 0)
        return 0;
    struct found *found =
        find_entries(memory + HEADER_BYTES, entries_n, entry_bytes, notes, &n, &known->damaged);
    if (found == NULL)
        return KNOWN_NO_MEMORY;
    (void)read_kinds(&kinds, memory, bytes); /* without names, what offers some is damaged */
    uint32_t room = known->rules.max - slots_count(known->slots);
    if (n > room && found[n - room - 1].by_operator) { /* they come last */
        free(found);
        return KNOWN_TOO_MANY;
    }
    for (size_t i = n > room ? n - room : 0; i < n; i++) {
        bool used;
        uint32_t slot = slots_stalest(known->slots, &used);
        unsigned char *entry = entry_of(known, slot);
        memset(entry, 0, ENTRY_BYTES);
        memcpy(entry, found[i].entry, ENTRY_CRC_END);
        entry[ENTRY_SELECTOR] = 0;
        if (found[i].by_operator) {
            struct kept_state state = foreign_state(known, found[i].entry, version_1, &kinds);
            set_state(entry, &state);
        } else if (found[i].entry[ENTRY_SELECTOR] != 0) {
            memcpy(entry + ENTRY_COPIES, found[i].entry + ENTRY_COPIES, CREATOR_NOTE_BYTES);
            entry[ENTRY_SELECTOR] = PROVISIONAL;
        }
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

uint32_t known_damaged_states(const struct known *known)
{
    return known->damaged_states;
}

/* --- forgetting --- */

/* A slot for another article: a free one, or one without a state that is quiet, or any without a
 * state if `even_used`. SLOTS_NONE: there is none, or none was found in LOOKS_MAX. */
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
        if (entry[ENTRY_SELECTOR] == 1 || entry[ENTRY_SELECTOR] == 2) {
            slots_touch(known->slots, slot);
            continue;
        }
        uint64_t hour = bytes_get_u32(entry + ENTRY_HOUR);
        return even_used || hour_of(unix_ms) >= hour + KNOWN_QUIET_HOURS ? slot : SLOTS_NONE;
    }
    return SLOTS_NONE;
}

/* Overwrites the slot with an article. The slot counts as free until the last store. `state` and
 * `creator` may be NULL. */
static void store(struct known *known, uint32_t slot, uint64_t key, const char *article,
                  size_t article_bytes, const struct kept_state *state,
                  const struct known_who *creator, uint64_t unix_ms)
{
    unsigned char made[ENTRY_BYTES] = {0}, *entry = entry_of(known, slot);

    made[ENTRY_LENGTH] = (unsigned char)article_bytes;
    memcpy(made + ENTRY_ARTICLE, article, article_bytes);
    bytes_put_u32(made + ENTRY_HOUR, hour_of(unix_ms));
    bytes_put_u32(made + ENTRY_CRC, entry_crc(made));
    if (state != NULL)
        set_state(made, state);
    if (creator != NULL) {
        creator_note_write(made + ENTRY_COPIES, tag_of(known, creator), creator->reader);
        made[ENTRY_SELECTOR] = PROVISIONAL;
    }
    unindex_note(known, slot);
    store_byte(entry + ENTRY_LENGTH, 0);
    memcpy(entry, made, ENTRY_LENGTH);
    memcpy(entry + ENTRY_ARTICLE, made + ENTRY_ARTICLE, ENTRY_BYTES - ENTRY_ARTICLE);
    store_byte(entry + ENTRY_LENGTH, made[ENTRY_LENGTH]);
    slots_place(known->slots, slot, key);
    if (state != NULL)
        known->by_operator++;
    if (creator != NULL)
        index_note(known, slot);
}

/* --- deciding --- */

struct known_answer known_judge(struct known *known, const char *article, size_t article_bytes,
                                uint64_t now_ns, uint64_t unix_ms)
{
    const struct known_rules *rules = &known->rules;
    struct known_answer answer = {.slot = SLOTS_NONE,
                                  .verdict = rules->everything ? KNOWN_YES : KNOWN_NO};

    if (rules->everything && known->by_operator == 0)
        return answer;
    answer.key = key_of(known, article, article_bytes);
    answer.slot = slots_find(known->slots, answer.key);
    if (answer.slot != SLOTS_NONE) {
        unsigned char *entry = entry_of(known, answer.slot);
        answer.state = copy_of(entry, entry[ENTRY_SELECTOR]);
        if (rules->auto_create || answer.state != NULL)
            answer.verdict = KNOWN_YES;
    } else if (!rules->everything && rules->auto_create) {
        answer.why = KNOWN_RATE;
        if (!limit_left(&rules->auto_create_rate, known->created, now_ns))
            return answer;
        answer.slot = find_room(known, unix_ms, false);
        answer.why = KNOWN_FULL;
        if (answer.slot != SLOTS_NONE)
            answer.verdict = KNOWN_MAY_BE;
    }
    return answer;
}

/* An existing article is touched; `reacts`, by a reaction. */
static void touch(struct known *known, uint32_t slot, const struct known_who *who, bool reacts)
{
    unsigned char *entry = entry_of(known, slot);
    unsigned char *note = entry + ENTRY_COPIES;
    if (entry[ENTRY_SELECTOR] != PROVISIONAL)
        return;
    if (tag_of(known, who) != creator_note_tag(note) ||
        (reacts && !creator_note_add(note, who->reader)))
        confirm(known, slot);
}

void known_use(struct known *known, const struct known_answer *answer, const char *article,
               size_t article_bytes, const struct known_who *who, uint64_t now_ns, uint64_t unix_ms)
{
    if (known->rules.everything)
        return;
    if (answer->verdict == KNOWN_MAY_BE) {
        known->created = limit_taken(&known->rules.auto_create_rate, known->created, now_ns);
        store(known, answer->slot, answer->key, article, article_bytes, NULL, who, unix_ms);
        return;
    }
    touch(known, answer->slot, who, true);
    unsigned char *entry = entry_of(known, answer->slot);
    slots_touch(known->slots, answer->slot);
    /* At most one store an hour, to avoid needless write-back of the file's pages. */
    if (bytes_get_u32(entry + ENTRY_HOUR) != hour_of(unix_ms))
        bytes_put_u32(entry + ENTRY_HOUR, hour_of(unix_ms));
}

void known_seen(struct known *known, const char *article, size_t article_bytes,
                const struct known_who *who)
{
    if (creators_notes(known->creators) == 0)
        return;
    uint32_t slot = slots_find(known->slots, key_of(known, article, article_bytes));
    if (slot != SLOTS_NONE)
        touch(known, slot, who, false);
}

/* --- what an operator says --- */

/* The state to store, given the previous one (NULL: none). */
static enum known_outcome keep(const struct known *known, const struct article_state *state,
                               const unsigned char *former, struct kept_state *out)
{
    struct kept_state was = {0};
    if (former != NULL)
        was = read_copy(former);
    *out = (struct kept_state){
        .flags = (state->closed ? FLAG_CLOSED : 0) | (state->kinds > 0 ? FLAG_KINDS : 0) |
                 (state->after_close ? FLAG_AFTER_CLOSE : 0) |
                 (state->version == 0 ? FLAG_UNPASSED : 0),
        .version = state->version == 0 ? was.version : state->version,
        .opens_at_ms = state->opens_at_ms,
        .closes_at_ms = state->closes_at_ms,
    };
    if (!keep_kinds(state, &known->rules.kinds, &out->kinds) && state->version == 0)
        return KNOWN_NO_SUCH_KIND;
    /* A state that the feed sent before it saw the operator's change must not undo that change. */
    if (state->version != 0 && (was.flags & FLAG_UNPASSED) && state->version <= was.version)
        return KNOWN_OUTDATED;
    return KNOWN_TOLD;
}

static bool same_state(const unsigned char *copy, const struct kept_state *state)
{
    struct kept_state was = read_copy(copy);
    return was.flags == state->flags && was.version == state->version &&
           was.opens_at_ms == state->opens_at_ms && was.closes_at_ms == state->closes_at_ms &&
           was.kinds == state->kinds;
}

enum known_outcome known_by_operator(struct known *known, const char *article, size_t article_bytes,
                                     const struct article_state *state, uint64_t unix_ms)
{
    uint64_t key = key_of(known, article, article_bytes);
    uint32_t slot = slots_find(known->slots, key);
    unsigned char *entry = slot == SLOTS_NONE ? NULL : entry_of(known, slot);
    unsigned char *former = entry == NULL ? NULL : copy_of(entry, entry[ENTRY_SELECTOR]);
    struct kept_state kept;
    enum known_outcome outcome = keep(known, state, former, &kept);

    if (outcome != KNOWN_TOLD)
        return outcome;
    if (entry != NULL) {
        unindex_note(known, slot);
        if (former == NULL)
            known->by_operator++;
        if (former == NULL || !same_state(former, &kept))
            set_state(entry, &kept);
        return KNOWN_TOLD;
    }
    slot = find_room(known, unix_ms, true);
    if (slot == SLOTS_NONE)
        return KNOWN_NO_ROOM;
    store(known, slot, key, article, article_bytes, &kept, NULL, unix_ms);
    return KNOWN_TOLD;
}

enum known_outcome known_by_operator_no_more(struct known *known, const char *article,
                                             size_t article_bytes, bool by_feed)
{
    uint32_t slot = slots_find(known->slots, key_of(known, article, article_bytes));
    if (slot == SLOTS_NONE)
        return KNOWN_TOLD;
    unsigned char *entry = entry_of(known, slot);
    const unsigned char *copy = copy_of(entry, entry[ENTRY_SELECTOR]);
    if (copy == NULL)
        return KNOWN_TOLD;
    if (by_feed && (bytes_get_u32(copy + COPY_FLAGS) & FLAG_UNPASSED))
        return KNOWN_OUTDATED;
    store_byte(entry + ENTRY_SELECTOR, 0);
    known->by_operator--;
    return KNOWN_TOLD;
}

/* The reverse of keep. False if it offers only kinds that are no longer configured: such a state
 * cannot be expressed. */
static bool unkeep(const struct known *known, const struct kept_state *kept,
                   struct article_state *out)
{
    memset(out, 0, sizeof *out);
    out->closed = (kept->flags & FLAG_CLOSED) != 0;
    out->after_close = (kept->flags & FLAG_AFTER_CLOSE) != 0;
    out->opens_at_ms = kept->opens_at_ms;
    out->closes_at_ms = kept->closes_at_ms;
    for (uint64_t rest = kept->kinds; rest != 0 && out->kinds < KIND_MAX; rest >>= 4)
        memcpy(out->kind[out->kinds++], known->rules.kinds.name[rest & 15], sizeof out->kind[0]);
    return out->kinds > 0 || !(kept->flags & FLAG_KINDS);
}

bool known_next_unpassed(struct known *known, const char **article, size_t *article_bytes,
                         struct article_state *state)
{
    while (known->unpassed_at < known->unpassed_n) {
        unsigned char *entry = entry_of(known, known->unpassed[known->unpassed_at++]);
        const unsigned char *copy = copy_of(entry, entry[ENTRY_SELECTOR]);
        struct kept_state kept;
        if (copy == NULL)
            continue;
        kept = read_copy(copy);
        if (!(kept.flags & FLAG_UNPASSED) || !unkeep(known, &kept, state))
            continue;
        *article = (const char *)entry + ENTRY_ARTICLE;
        *article_bytes = entry[ENTRY_LENGTH];
        return true;
    }
    return false;
}

void known_by_total(struct known *known, const char *article, size_t article_bytes,
                    uint64_t unix_ms)
{
    if (known->rules.everything || !known->rules.auto_create)
        return;
    uint64_t key = key_of(known, article, article_bytes);
    if (slots_find(known->slots, key) != SLOTS_NONE)
        return;
    uint32_t slot = find_room(known, unix_ms, false);
    if (slot != SLOTS_NONE)
        store(known, slot, key, article, article_bytes, NULL, NULL, unix_ms);
}

/* --- articles that hardly anyone touched --- */

/* Whether the article in a slot may be forgotten while enough of its creator's articles stay. */
static bool may_forget(struct known *known, uint32_t slot, uint64_t unix_ms)
{
    const unsigned char *entry = entry_of(known, slot);
    uint64_t hour = bytes_get_u32(entry + ENTRY_HOUR);
    if (!(known->marks[slot] & NOTED) || hour_of(unix_ms) <= hour + known->rules.forget_hours)
        return false;
    if (known->marks[slot] & ASKED)
        return true;
    if (!creators_ask(known->creators, creator_note_tag(entry + ENTRY_COPIES)))
        return false;
    known->marks[slot] |= ASKED;
    return true;
}

enum known_search known_next_quiet(struct known *known, uint64_t unix_ms, uint32_t *looks,
                                   struct known_quiet *out)
{
    if (known->rules.forget_hours == 0 || creators_notes(known->creators) == 0)
        return KNOWN_END;
    while (*looks > 0 && known->quiet_at < known->rules.max) {
        uint32_t slot = known->quiet_at++;
        --*looks;
        if (!may_forget(known, slot, unix_ms))
            continue;
        const unsigned char *entry = entry_of(known, slot);
        out->article = (const char *)entry + ENTRY_ARTICLE;
        out->article_bytes = entry[ENTRY_LENGTH];
        out->readers = creator_note_readers(entry + ENTRY_COPIES, out->reader);
        return KNOWN_FOUND;
    }
    if (known->quiet_at < known->rules.max)
        return KNOWN_LATER;
    known->quiet_at = 0;
    return KNOWN_END;
}

void known_total_gone(struct known *known, const char *article, size_t article_bytes)
{
    uint32_t slot = slots_find(known->slots, key_of(known, article, article_bytes));
    if (slot == SLOTS_NONE)
        return;
    unsigned char *entry = entry_of(known, slot);
    if (copy_of(entry, entry[ENTRY_SELECTOR]) != NULL)
        return;
    if (known->marks[slot] & ASKED)
        known->forgotten++;
    drop(known, slot);
}

void known_is_real(struct known *known, const char *article, size_t article_bytes)
{
    uint32_t slot = slots_find(known->slots, key_of(known, article, article_bytes));
    if (slot != SLOTS_NONE && entry_of(known, slot)[ENTRY_SELECTOR] == PROVISIONAL)
        confirm(known, slot);
}

uint32_t known_provisional(const struct known *known)
{
    return creators_notes(known->creators);
}

uint64_t known_forgotten(const struct known *known)
{
    return known->forgotten;
}
