/* The registry of articles: which are known, which may be registered now, which state an operator
 * gave them, and which may be forgotten. Its bytes are registry_layout.c's. */
#include "registry.h"

#include "core/slots.h"
#include "creator.h"
#include "registry_layout.h"
#include "registry_notes.h"
#include "registry_state.h"

#include "core/bytes.h"

#include <stdlib.h>
#include <string.h>

/* Articles with a state are never evicted for another, but share the same order of use. Each one in
 * the way is moved out of it, so it costs this only once. */
#define LOOKS_MAX 16

struct registry {
    unsigned char *memory;
    struct registry_rules rules;
    struct slots *slots;
    uint64_t created; /* bucket of auto_create */
    uint32_t by_operator;
    uint32_t damaged, damaged_states;
    uint32_t *unpassed; /* slots of states that no feed had passed on */
    uint32_t unpassed_n, unpassed_at;
    struct registry_notes *notes;
    uint32_t quiet_at; /* where registry_next_quiet continues */
    uint64_t forgotten;
};

static unsigned char *entry_of(const struct registry *registry, uint32_t slot)
{
    return registry_layout_entry(registry->memory, slot);
}

static uint64_t key_of(const struct registry *registry, const char *article, size_t article_bytes)
{
    return reader_hash(&registry->rules.key, article, article_bytes, 'a', "", 0);
}

/* The value of an unreadable state: damage must not open a closed article. */
static struct registry_layout_state damaged_state(struct registry *registry)
{
    registry->damaged_states++;
    return (struct registry_layout_state){.flags = REGISTRY_LAYOUT_CLOSED};
}

static void forget_note(struct registry *registry, uint32_t slot)
{
    registry_notes_remove(registry->notes, slot, registry_layout_note(entry_of(registry, slot)));
}

/* It is no longer provisional. */
static void confirm_slot(struct registry *registry, uint32_t slot)
{
    forget_note(registry, slot);
    registry_layout_clear_selector(entry_of(registry, slot));
}

static uint64_t tag_of(const struct registry *registry, const struct registry_actor *who)
{
    unsigned char key[8];
    bytes_put_u64(key, who->key);
    return reader_hash(&registry->rules.creator_key, "", 0, who->address ? 'a' : 'r',
                       (const char *)key, sizeof key);
}

/* Frees a slot. */
static void drop_slot(struct registry *registry, uint32_t slot)
{
    unsigned char *entry = entry_of(registry, slot);
    registry_layout_free_entry(entry);
    if (registry_layout_copy(entry) != NULL)
        registry->by_operator--;
    forget_note(registry, slot);
    entry[REGISTRY_LAYOUT_SELECTOR] = 0;
    slots_remove(registry->slots, slot);
}

/* Takes in the entry in this slot. After a machine crash an article may be in two entries, because
 * pages are written in any order. The later one in registry_layout_find counts; it has the state if
 * only one has. */
static void index_entry(struct registry *registry, uint32_t slot)
{
    unsigned char *entry = entry_of(registry, slot);
    uint64_t key = key_of(registry, registry_layout_article(entry), entry[REGISTRY_LAYOUT_LENGTH]);
    uint32_t former = slots_find(registry->slots, key);
    if (former != SLOTS_NONE)
        drop_slot(registry, former);
    slots_place(registry->slots, slot, key);
    if (registry_layout_is_provisional(entry))
        registry_notes_add(registry->notes, slot, registry_layout_note(entry_of(registry, slot)));
    if (entry[REGISTRY_LAYOUT_SELECTOR] == 0 || registry_layout_is_provisional(entry))
        return;
    registry->by_operator++;
    if (!registry_layout_state_whole(entry, registry->rules.kinds.n)) {
        struct registry_layout_state closed = damaged_state(registry);
        registry_layout_write_state(entry, &closed);
    }
    const unsigned char *copy = registry_layout_copy(entry); /* never NULL by now */
    if (copy != NULL &&
        (bytes_get_u32(copy + REGISTRY_LAYOUT_COPY_FLAGS) & REGISTRY_LAYOUT_UNPASSED))
        registry->unpassed[registry->unpassed_n++] = slot;
}

struct registry *registry_new(unsigned char *memory, const struct registry_rules *rules)
{
    size_t n;
    struct registry_layout_found *found = NULL;
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return NULL;
    registry->memory = memory;
    registry->rules = *rules;
    registry->slots = slots_new(rules->max, rules->seed);
    registry->unpassed = calloc(rules->max, sizeof *registry->unpassed);
    registry->notes = registry_notes_new(rules->max, rules->seed);
    if (registry->slots != NULL && registry->unpassed != NULL && registry->notes != NULL)
        found = registry_layout_find(memory, rules->max, &n, &registry->damaged);
    if (found == NULL) {
        registry_free(registry);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        index_entry(registry, (uint32_t)((size_t)(found[i].entry - entry_of(registry, 0)) /
                                         REGISTRY_LAYOUT_ENTRY_BYTES));
    free(found);
    return registry;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    slots_free(registry->slots);
    free(registry->unpassed);
    registry_notes_free(registry->notes);
    explicit_bzero(registry, sizeof *registry);
    free(registry);
}

static void import_entry(struct registry *registry, const struct registry_layout_found *found,
                         const struct kind_table *kinds)
{
    bool used;
    uint32_t slot = slots_stalest(registry->slots, &used);
    unsigned char *entry = entry_of(registry, slot);

    memset(entry, 0, REGISTRY_LAYOUT_ENTRY_BYTES);
    memcpy(entry, found->entry, REGISTRY_LAYOUT_COPIES);
    entry[REGISTRY_LAYOUT_SELECTOR] = 0;
    if (found->by_operator) {
        struct registry_layout_state state;
        if (!registry_state_read_foreign(found->entry, kinds, &registry->rules.kinds, &state))
            state = damaged_state(registry);
        registry_layout_write_state(entry, &state);
    } else if (found->entry[REGISTRY_LAYOUT_SELECTOR] != 0) {
        memcpy(registry_layout_note(entry), found->entry + REGISTRY_LAYOUT_COPIES,
               CREATOR_NOTE_BYTES);
        entry[REGISTRY_LAYOUT_SELECTOR] = REGISTRY_LAYOUT_PROVISIONAL;
    }
    index_entry(registry, slot);
}

int registry_import(struct registry *registry, const unsigned char *memory, size_t bytes)
{
    struct kind_table kinds;
    size_t n, entries = bytes > REGISTRY_LAYOUT_HEADER_BYTES
                            ? (bytes - REGISTRY_LAYOUT_HEADER_BYTES) / REGISTRY_LAYOUT_ENTRY_BYTES
                            : 0;
    if (entries == 0)
        return 0;
    struct registry_layout_found *found =
        registry_layout_find(memory, entries, &n, &registry->damaged);
    if (found == NULL)
        return REGISTRY_NO_MEMORY;
    /* Without the names of the kinds, a state that offers some is damaged. */
    (void)registry_layout_kinds(&kinds, memory, bytes);
    uint32_t room = registry->rules.max - slots_count(registry->slots);
    if (n > room && found[n - room - 1].by_operator) { /* they come last */
        free(found);
        return REGISTRY_TOO_MANY;
    }
    for (size_t i = n > room ? n - room : 0; i < n; i++)
        import_entry(registry, &found[i], &kinds);
    free(found);
    return 0;
}

uint32_t registry_count(const struct registry *registry)
{
    return slots_count(registry->slots);
}

uint32_t registry_damaged(const struct registry *registry)
{
    return registry->damaged;
}

uint32_t registry_damaged_states(const struct registry *registry)
{
    return registry->damaged_states;
}

/* --- forgetting --- */

/* A slot for another article: a free one, or one without a state that is quiet, or any without a
 * state if `even_used`. SLOTS_NONE: there is none, or none was found in LOOKS_MAX. */
static uint32_t find_room(struct registry *registry, uint64_t unix_ms, bool even_used)
{
    uint32_t looks = even_used ? registry->rules.max : LOOKS_MAX;
    bool used;

    if (registry->by_operator == registry->rules.max)
        return SLOTS_NONE;
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t slot = slots_stalest(registry->slots, &used);
        const unsigned char *entry = entry_of(registry, slot);
        if (!used)
            return slot;
        if (entry[REGISTRY_LAYOUT_SELECTOR] == 1 || entry[REGISTRY_LAYOUT_SELECTOR] == 2) {
            slots_touch(registry->slots, slot);
            continue;
        }
        uint64_t hour = registry_layout_hour(entry);
        return even_used || registry_layout_hour_of(unix_ms) >= hour + REGISTRY_QUIET_HOURS
                   ? slot
                   : SLOTS_NONE;
    }
    return SLOTS_NONE;
}

/* Overwrites the slot with an article. The slot counts as free until the last store. `state` and
 * `creator` may be NULL. */
static void store_article(struct registry *registry, uint32_t slot, uint64_t key,
                          const char *article, size_t article_bytes,
                          const struct registry_layout_state *state,
                          const struct registry_actor *creator, uint64_t unix_ms)
{
    unsigned char made[REGISTRY_LAYOUT_ENTRY_BYTES] = {0};

    registry_layout_write_entry(made, article, article_bytes, registry_layout_hour_of(unix_ms));
    if (state != NULL)
        registry_layout_write_state(made, state);
    if (creator != NULL) {
        creator_note_write(made + REGISTRY_LAYOUT_COPIES, tag_of(registry, creator),
                           creator->reader);
        made[REGISTRY_LAYOUT_SELECTOR] = REGISTRY_LAYOUT_PROVISIONAL;
    }
    forget_note(registry, slot);
    registry_layout_replace_entry(entry_of(registry, slot), made);
    slots_place(registry->slots, slot, key);
    if (state != NULL)
        registry->by_operator++;
    if (creator != NULL)
        registry_notes_add(registry->notes, slot, registry_layout_note(entry_of(registry, slot)));
}

/* --- deciding --- */

struct registry_answer registry_judge(struct registry *registry, const char *article,
                                      size_t article_bytes, uint64_t now_ns, uint64_t unix_ms)
{
    const struct registry_rules *rules = &registry->rules;
    struct registry_answer answer = {.slot = SLOTS_NONE, .asks_who = !rules->everything};
    answer.verdict = rules->everything ? REGISTRY_KNOWN : REGISTRY_UNKNOWN;

    if (rules->everything && registry->by_operator == 0)
        return answer;
    answer.key = key_of(registry, article, article_bytes);
    answer.slot = slots_find(registry->slots, answer.key);
    if (answer.slot != SLOTS_NONE) {
        unsigned char *entry = entry_of(registry, answer.slot);
        answer.state = registry_layout_copy(entry);
        if (rules->auto_create || answer.state != NULL)
            answer.verdict = REGISTRY_KNOWN;
    } else if (!rules->everything && rules->auto_create) {
        answer.why = REGISTRY_RATE;
        if (!limit_left(&rules->auto_create_rate, registry->created, now_ns))
            return answer;
        answer.slot = find_room(registry, unix_ms, false);
        answer.why = REGISTRY_FULL;
        if (answer.slot != SLOTS_NONE)
            answer.verdict = REGISTRY_MAY_REGISTER;
    }
    return answer;
}

/* An existing article is touched; `reacts`, by a reaction. */
static void touch_note(struct registry *registry, uint32_t slot, const struct registry_actor *who,
                       bool reacts)
{
    unsigned char *entry = entry_of(registry, slot);
    unsigned char *note = registry_layout_note(entry);
    if (entry[REGISTRY_LAYOUT_SELECTOR] != REGISTRY_LAYOUT_PROVISIONAL)
        return;
    if (tag_of(registry, who) != creator_note_tag(note) ||
        (reacts && !creator_note_add(note, who->reader)))
        confirm_slot(registry, slot);
}

void registry_use(struct registry *registry, const struct registry_answer *answer,
                  const char *article, size_t article_bytes, const struct registry_actor *who,
                  uint64_t now_ns, uint64_t unix_ms)
{
    if (registry->rules.everything)
        return;
    if (answer->verdict == REGISTRY_MAY_REGISTER) {
        registry->created =
            limit_taken(&registry->rules.auto_create_rate, registry->created, now_ns);
        store_article(registry, answer->slot, answer->key, article, article_bytes, NULL, who,
                      unix_ms);
        return;
    }
    touch_note(registry, answer->slot, who, true);
    unsigned char *entry = entry_of(registry, answer->slot);
    slots_touch(registry->slots, answer->slot);
    /* At most one store an hour, to avoid needless write-back of the file's pages. */
    if (registry_layout_hour(entry) != registry_layout_hour_of(unix_ms))
        bytes_put_u32(entry + REGISTRY_LAYOUT_HOUR, registry_layout_hour_of(unix_ms));
}

void registry_viewed(struct registry *registry, const char *article, size_t article_bytes,
                     const struct registry_actor *who)
{
    if (registry_notes_count(registry->notes) == 0)
        return;
    uint32_t slot = slots_find(registry->slots, key_of(registry, article, article_bytes));
    if (slot != SLOTS_NONE)
        touch_note(registry, slot, who, false);
}

/* --- what an operator says --- */

/* The state to store, given the previous one (NULL: none). */
static enum registry_outcome state_to_keep(const struct registry *registry,
                                           const struct article_state *state,
                                           const unsigned char *former,
                                           struct registry_layout_state *out)
{
    struct registry_layout_state was = {0};
    if (former != NULL)
        was = registry_layout_read_state(former);
    bool all = registry_state_pack(state, &registry->rules.kinds, was.version, out);
    if (!all && state->version == 0)
        return REGISTRY_NO_SUCH_KIND;
    /* A state that the feed sent before it saw the operator's change must not undo that change. */
    if (state->version != 0 && (was.flags & REGISTRY_LAYOUT_UNPASSED) &&
        state->version <= was.version)
        return REGISTRY_OUTDATED;
    return REGISTRY_APPLIED;
}

enum registry_outcome registry_set_state(struct registry *registry, const char *article,
                                         size_t article_bytes, const struct article_state *state,
                                         uint64_t unix_ms)
{
    uint64_t key = key_of(registry, article, article_bytes);
    uint32_t slot = slots_find(registry->slots, key);
    unsigned char *entry = slot == SLOTS_NONE ? NULL : entry_of(registry, slot);
    unsigned char *former = entry == NULL ? NULL : registry_layout_copy(entry);
    struct registry_layout_state kept;
    enum registry_outcome outcome = state_to_keep(registry, state, former, &kept);

    if (outcome != REGISTRY_APPLIED)
        return outcome;
    if (entry != NULL) {
        forget_note(registry, slot);
        if (former == NULL)
            registry->by_operator++;
        if (former == NULL || !registry_state_same(former, &kept))
            registry_layout_write_state(entry, &kept);
        return REGISTRY_APPLIED;
    }
    slot = find_room(registry, unix_ms, true);
    if (slot == SLOTS_NONE)
        return REGISTRY_NO_ROOM;
    store_article(registry, slot, key, article, article_bytes, &kept, NULL, unix_ms);
    return REGISTRY_APPLIED;
}

enum registry_outcome registry_clear_state(struct registry *registry, const char *article,
                                           size_t article_bytes, bool by_feed)
{
    uint32_t slot = slots_find(registry->slots, key_of(registry, article, article_bytes));
    if (slot == SLOTS_NONE)
        return REGISTRY_APPLIED;
    unsigned char *entry = entry_of(registry, slot);
    const unsigned char *copy = registry_layout_copy(entry);
    if (copy == NULL)
        return REGISTRY_APPLIED;
    if (by_feed && (bytes_get_u32(copy + REGISTRY_LAYOUT_COPY_FLAGS) & REGISTRY_LAYOUT_UNPASSED))
        return REGISTRY_OUTDATED;
    registry_layout_clear_selector(entry);
    registry->by_operator--;
    return REGISTRY_APPLIED;
}

bool registry_next_unpassed(struct registry *registry, const char **article, size_t *article_bytes,
                            struct article_state *state)
{
    while (registry->unpassed_at < registry->unpassed_n) {
        unsigned char *entry = entry_of(registry, registry->unpassed[registry->unpassed_at++]);
        const unsigned char *copy = registry_layout_copy(entry);
        struct registry_layout_state kept;
        if (copy == NULL)
            continue;
        kept = registry_layout_read_state(copy);
        if (!(kept.flags & REGISTRY_LAYOUT_UNPASSED) ||
            !registry_state_unpack(&kept, &registry->rules.kinds, state))
            continue;
        *article = registry_layout_article(entry);
        *article_bytes = entry[REGISTRY_LAYOUT_LENGTH];
        return true;
    }
    return false;
}

void registry_total_found(struct registry *registry, const char *article, size_t article_bytes,
                          uint64_t unix_ms)
{
    if (registry->rules.everything || !registry->rules.auto_create)
        return;
    uint64_t key = key_of(registry, article, article_bytes);
    if (slots_find(registry->slots, key) != SLOTS_NONE)
        return;
    uint32_t slot = find_room(registry, unix_ms, false);
    if (slot != SLOTS_NONE)
        store_article(registry, slot, key, article, article_bytes, NULL, NULL, unix_ms);
}

/* --- articles that hardly anyone touched --- */

/* Whether the article in a slot may be forgotten while enough of its creator's articles stay. */
static bool may_forget(struct registry *registry, uint32_t slot, uint64_t unix_ms)
{
    const unsigned char *entry = entry_of(registry, slot);
    uint64_t hour = registry_layout_hour(entry);
    return registry_notes_has(registry->notes, slot) &&
           registry_layout_hour_of(unix_ms) > hour + registry->rules.forget_hours &&
           registry_notes_may_forget(registry->notes, slot,
                                     registry_layout_note(entry_of(registry, slot)));
}

enum registry_search registry_next_quiet(struct registry *registry, uint64_t unix_ms,
                                         uint32_t *looks, struct registry_quiet *out)
{
    if (registry->rules.forget_hours == 0 || registry_notes_count(registry->notes) == 0)
        return REGISTRY_END;
    while (*looks > 0 && registry->quiet_at < registry->rules.max) {
        uint32_t slot = registry->quiet_at++;
        --*looks;
        if (!may_forget(registry, slot, unix_ms))
            continue;
        unsigned char *entry = entry_of(registry, slot);
        out->article = registry_layout_article(entry);
        out->article_bytes = entry[REGISTRY_LAYOUT_LENGTH];
        out->readers = creator_note_readers(registry_layout_note(entry), out->reader);
        return REGISTRY_FOUND;
    }
    if (registry->quiet_at < registry->rules.max)
        return REGISTRY_LATER;
    registry->quiet_at = 0;
    return REGISTRY_END;
}

void registry_total_gone(struct registry *registry, const char *article, size_t article_bytes)
{
    uint32_t slot = slots_find(registry->slots, key_of(registry, article, article_bytes));
    if (slot == SLOTS_NONE)
        return;
    unsigned char *entry = entry_of(registry, slot);
    if (registry_layout_copy(entry) != NULL)
        return;
    if (registry_notes_asked(registry->notes, slot))
        registry->forgotten++;
    drop_slot(registry, slot);
}

void registry_confirm(struct registry *registry, const char *article, size_t article_bytes)
{
    uint32_t slot = slots_find(registry->slots, key_of(registry, article, article_bytes));
    if (slot != SLOTS_NONE &&
        entry_of(registry, slot)[REGISTRY_LAYOUT_SELECTOR] == REGISTRY_LAYOUT_PROVISIONAL)
        confirm_slot(registry, slot);
}

uint32_t registry_provisional(const struct registry *registry)
{
    return registry_notes_count(registry->notes);
}

uint64_t registry_forgotten(const struct registry *registry)
{
    return registry->forgotten;
}
