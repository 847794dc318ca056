#include "states.h"

#include "core/heap.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
/* Each function that hashes calls its table `states`. */
#define HASH_FUNCTION(key, bytes, out) ((out) = article_hash((key), (bytes), states->config.seed))
#include <uthash.h>
#include <utlist.h>

#define SOMETHING UINT64_MAX /* the broker holds something that no feed wrote */

enum wish { NO_WISH, WISH_STATE, WISH_AWAY };
enum due { NOT_DUE, DUE_CLOSED, DUE_OPEN }; /* what is closed goes out first */

struct entry {
    UT_hash_handle hh;
    struct entry *due_prev, *due_next;
    struct entry *wish_prev, *wish_next; /* while it waits to be taken */
    struct article_state state;          /* Redis's, where `stored` */
    struct article_state *wished;        /* while the wish is one for a state */
    struct article_state *held;          /* what the broker holds above `state`, until judged */
    uint64_t holds;           /* the version that the broker holds; 0 nothing, SOMETHING */
    struct heap_node next_ms; /* `state` opens or closes */
    uint32_t load;            /* in which it was told of last */
    uint8_t bytes;
    uint8_t wish; /* an operator's, not stored yet */
    uint8_t due;
    bool stored;
    bool holds_open;
    bool taken;    /* a wish is being stored … */
    bool new_wish; /* … and there is a newer one */
    bool no_total; /* the broker retains no total of it */
    bool unhashed; /* uthash had no memory */
    char article[];
};

struct states {
    struct states_config config;
    struct entry *by_article;
    struct entry *due[DUE_OPEN + 1];
    bool due_open; /* what states_next_due said of the first */
    struct entry *wishes;
    struct entry *later; /* those that were not stored, until they are tried again */
    struct heap times;   /* by next_ms; has room for every entry */
    uint32_t load;
    bool loaded;
    bool judged; /* the broker's states were compared with Redis's */
    struct states_stats stats;
};

static struct entry *find(const struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = NULL;
    if (states->by_article != NULL)
        HASH_FIND(hh, states->by_article, article, bytes, entry);
    return entry;
}

static void time_it(struct states *states, struct entry *entry, uint64_t unix_ms)
{
    heap_remove(&states->times, &entry->next_ms);
    entry->next_ms.due =
        entry->stored ? article_state_next_change(&entry->state, unix_ms) : ARTICLE_STATE_NEVER;
    if (entry->next_ms.due != ARTICLE_STATE_NEVER)
        (void)heap_add(&states->times, &entry->next_ms);
}

/* --- entries --- */

static struct entry *add(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = NULL;
    if (states->stats.articles < states->config.max && bytes <= ARTICLE_MAX_BYTES &&
        heap_reserve(&states->times, states->stats.articles + 1))
        entry = calloc(1, sizeof *entry + bytes);
    if (entry != NULL) {
        memcpy(entry->article, article, bytes);
        entry->bytes = (uint8_t)bytes;
        HASH_ADD_KEYPTR(hh, states->by_article, entry->article, bytes, entry);
        if (!entry->unhashed) {
            states->stats.articles++;
            return entry;
        }
        free(entry);
    }
    states->stats.refused++;
    return NULL;
}

static struct entry *find_or_add(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = find(states, article, bytes);
    return entry != NULL ? entry : add(states, article, bytes);
}

static void set_due(struct states *states, struct entry *entry, enum due due)
{
    if (entry->due == due)
        return;
    if (entry->due != NOT_DUE) {
        DL_DELETE2(states->due[entry->due], entry, due_prev, due_next);
        states->stats.due--;
    }
    entry->due = (uint8_t)due;
    if (due != NOT_DUE) {
        DL_APPEND2(states->due[due], entry, due_prev, due_next);
        states->stats.due++;
    }
}

static void forget(struct states *states, struct entry *entry)
{
    heap_remove(&states->times, &entry->next_ms);
    set_due(states, entry, NOT_DUE);
    HASH_DEL(states->by_article, entry);
    states->stats.articles--;
    free(entry->wished);
    free(entry->held);
    free(entry);
}

/* The version of the state that the broker holds; 0 none. */
static uint64_t held_version(const struct entry *entry)
{
    return entry->holds == SOMETHING ? 0 : entry->holds;
}

/* Whether what the broker holds may be newer than what is known of Redis. */
static bool is_open_question(const struct states *states, const struct entry *entry)
{
    uint64_t held = held_version(entry);
    return !states->judged && held > 0 && (!entry->stored || held > entry->state.version);
}

/* What is to be published of it; the entry may be gone after this. */
static void settle(struct states *states, struct entry *entry, uint64_t unix_ms)
{
    bool open = entry->stored && article_state_open_at(&entry->state, unix_ms);
    enum due due = NOT_DUE;
    if (entry->wish != NO_WISH || is_open_question(states, entry))
        due = NOT_DUE;
    else if (entry->stored && (entry->holds != entry->state.version || entry->holds_open != open))
        due = open ? DUE_OPEN : DUE_CLOSED;
    else if (!entry->stored && entry->holds != 0 && states->loaded)
        due = DUE_OPEN;
    set_due(states, entry, due);
    if (!entry->stored && entry->holds == 0 && entry->wish == NO_WISH)
        forget(states, entry);
}

struct states *states_new(const struct states_config *config)
{
    struct states *states = calloc(1, sizeof *states);
    if (states != NULL)
        states->config = *config;
    return states;
}

void states_free(struct states *states)
{
    struct entry *entry, *following;
    if (states == NULL)
        return;
    HASH_ITER(hh, states->by_article, entry, following)
    {
        forget(states, entry);
    }
    heap_fini(&states->times);
    free(states);
}

/* --- what is heard --- */

void states_new_broker(struct states *states, uint64_t unix_ms)
{
    struct entry *entry, *following;
    states->judged = false;
    HASH_ITER(hh, states->by_article, entry, following)
    {
        entry->holds = 0;
        entry->no_total = false;
        free(entry->held);
        entry->held = NULL;
        settle(states, entry, unix_ms);
    }
}

/* `wished` NULL: that it has none. */
static bool set_wish(struct states *states, struct entry *entry, const struct article_state *wished)
{
    if (wished != NULL && entry->wished == NULL) {
        entry->wished = malloc(sizeof *entry->wished);
        if (entry->wished == NULL)
            return false;
    }
    if (wished != NULL)
        *entry->wished = *wished;
    entry->new_wish = entry->taken;
    if (entry->wish == NO_WISH) {
        DL_APPEND2(states->wishes, entry, wish_prev, wish_next);
        states->stats.wishes++;
    }
    entry->wish = wished == NULL ? WISH_AWAY : WISH_STATE;
    set_due(states, entry, NOT_DUE);
    return true;
}

/* States above Redis's also need their contents. No memory: Redis's count. */
static void keep_held(const struct states *states, struct entry *entry,
                      const struct article_state *state)
{
    free(entry->held);
    entry->held = NULL;
    if (states->judged || state == NULL ||
        (entry->stored && state->version <= entry->state.version))
        return;
    entry->held = malloc(sizeof *entry->held);
    if (entry->held != NULL)
        *entry->held = *state;
}

bool states_heard(struct states *states, const char *article, size_t bytes,
                  const struct article_state *state, uint64_t unix_ms)
{
    struct entry *entry = find_or_add(states, article, bytes);
    if (entry == NULL)
        return false;
    if (state != NULL && state->version == 0) {
        entry->holds = SOMETHING;
        return set_wish(states, entry, state);
    }
    entry->holds = state == NULL ? SOMETHING : state->version;
    entry->holds_open = state != NULL && state->open;
    keep_held(states, entry, state);
    settle(states, entry, unix_ms);
    return true;
}

bool states_heard_nothing(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = find_or_add(states, article, bytes);
    if (entry == NULL)
        return false;
    entry->holds = 0;
    return set_wish(states, entry, NULL);
}

static void set_stored(struct states *states, struct entry *entry,
                       const struct article_state *state, uint64_t unix_ms)
{
    entry->stored = state != NULL;
    if (state != NULL)
        entry->state = *state;
    entry->load = states->load;
    time_it(states, entry, unix_ms);
    settle(states, entry, unix_ms);
}

/* Redis lost the state with its last seconds: store it once more. */
static void wish_again(struct states *states, struct entry *entry)
{
    struct article_state own = entry->state;
    own.version = 0;
    own.open = false;
    if (entry->wish == NO_WISH && set_wish(states, entry, &own))
        states->stats.restored++;
}

bool states_stored(struct states *states, const char *article, size_t bytes,
                   const struct article_state *state, uint64_t unix_ms)
{
    struct entry *entry = find(states, article, bytes);
    if (entry == NULL && state != NULL)
        entry = add(states, article, bytes);
    if (entry == NULL)
        return state == NULL;
    if (state != NULL && entry->stored && state->version <= entry->state.version) {
        entry->load = states->load;
        if (state->version < entry->state.version)
            wish_again(states, entry); /* versions only rise: it went back */
        return true;
    }
    set_stored(states, entry, state, unix_ms);
    return true;
}

void states_load_begin(struct states *states, bool another)
{
    struct entry *entry, *following;
    states->load++;
    states->loaded = states->judged = false;
    if (!another)
        return;
    HASH_ITER(hh, states->by_article, entry, following)
    {
        set_stored(states, entry, NULL, 0);
    }
}

void states_load_skip(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = find(states, article, bytes);
    if (entry != NULL)
        entry->load = states->load;
}

void states_load_end(struct states *states, uint64_t lost_from_us, uint64_t unix_ms)
{
    struct entry *entry, *following;
    states->loaded = true;
    HASH_ITER(hh, states->by_article, entry, following)
    {
        if (entry->load != states->load && entry->stored && entry->state.version >= lost_from_us)
            wish_again(states, entry);
        else if (entry->load != states->load)
            set_stored(states, entry, NULL, unix_ms);
        else
            settle(states, entry, unix_ms);
    }
}

static bool was_lost(const struct entry *entry, const uint64_t *lost_from_us, uint32_t shards)
{
    if (entry->held == NULL || lost_from_us == NULL)
        return false;
    uint64_t from_us = lost_from_us[article_shard(entry->article, entry->bytes, shards)];
    if (entry->stored)
        return from_us != UINT64_MAX && entry->held->version > entry->state.version;
    return entry->held->version >= from_us;
}

void states_judge(struct states *states, bool another, const uint64_t *lost_from_us,
                  uint32_t shards, uint64_t unix_ms)
{
    struct entry *entry, *following;
    if (states->judged)
        return;
    states->judged = true;
    HASH_ITER(hh, states->by_article, entry, following)
    {
        if (another && entry->stored && held_version(entry) >= entry->state.version) {
            wish_again(states, entry);
        } else if (!another && was_lost(entry, lost_from_us, shards)) {
            entry->stored = true;
            entry->state = *entry->held;
            wish_again(states, entry);
        }
        free(entry->held);
        entry->held = NULL;
        settle(states, entry, unix_ms);
    }
}

/* --- what is to be stored --- */

bool states_take_wish(struct states *states, struct states_wish *out)
{
    struct entry *entry = states->wishes;
    if (entry == NULL)
        return false;
    DL_DELETE2(states->wishes, entry, wish_prev, wish_next);
    entry->taken = true;
    entry->new_wish = false;
    memset(out, 0, sizeof *out);
    memcpy(out->article, entry->article, entry->bytes);
    out->bytes = entry->bytes;
    out->away = entry->wish == WISH_AWAY;
    out->above = held_version(entry);
    if (entry->stored && entry->state.version > out->above)
        out->above = entry->state.version;
    if (!out->away)
        out->state = *entry->wished;
    return true;
}

/* A wish that was taken and its entry; NULL where there is none. */
static struct entry *taken(const struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = find(states, article, bytes);
    return entry != NULL && entry->taken ? entry : NULL;
}

void states_wish_back(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = taken(states, article, bytes);
    if (entry == NULL)
        return;
    entry->taken = false;
    DL_APPEND2(states->later, entry, wish_prev, wish_next);
}

void states_retry_wishes(struct states *states)
{
    DL_CONCAT2(states->wishes, states->later, wish_prev, wish_next);
    states->later = NULL;
}

void states_wish_stored(struct states *states, const char *article, size_t bytes, uint64_t version,
                        uint64_t unix_ms)
{
    struct entry *entry = taken(states, article, bytes);
    if (entry == NULL)
        return;
    if (entry->new_wish) {
        entry->taken = false;
        DL_APPEND2(states->wishes, entry, wish_prev, wish_next);
        return;
    }
    struct article_state *stored = entry->wish == WISH_AWAY ? NULL : entry->wished;
    entry->taken = false;
    entry->wish = NO_WISH;
    states->stats.wishes--;
    if (stored != NULL)
        stored->version = version;
    else if (version > 0)
        entry->holds = SOMETHING; /* what was published meanwhile may have come after the wish */
    struct article_state *wished = entry->wished;
    entry->wished = NULL;
    set_stored(states, entry, stored, unix_ms);
    free(wished);
}

/* --- what is to be published --- */

bool states_next_due(struct states *states, uint64_t unix_ms, struct states_due *out)
{
    struct entry *entry = states->due[DUE_CLOSED];
    if (entry == NULL)
        entry = states->due[DUE_OPEN];
    if (entry == NULL)
        return false;
    *out = (struct states_due){
        .article = entry->article,
        .bytes = entry->bytes,
        .state = entry->stored ? &entry->state : NULL,
        .open = entry->stored && article_state_open_at(&entry->state, unix_ms),
    };
    states->due_open = out->open;
    return true;
}

void states_published(struct states *states)
{
    struct entry *entry = states->due[DUE_CLOSED];
    if (entry == NULL)
        entry = states->due[DUE_OPEN];
    entry->holds_open = states->due_open;
    entry->holds = entry->stored ? entry->state.version : 0;
    set_due(states, entry, NOT_DUE);
    if (!entry->stored)
        forget(states, entry);
}

void states_again(struct states *states, const char *article, size_t bytes)
{
    struct entry *entry = find(states, article, bytes);
    if (entry != NULL && entry->stored && entry->wish == NO_WISH && entry->due == NOT_DUE)
        set_due(states, entry, DUE_OPEN);
}

/* --- time --- */

uint64_t states_next_ms(const struct states *states, uint64_t unix_ms)
{
    const struct heap_node *first = heap_first(&states->times);
    if (first == NULL)
        return UINT64_MAX;
    return first->due > unix_ms ? first->due - unix_ms : 0;
}

static bool shows_now(const struct entry *entry, uint64_t unix_ms)
{
    return entry->stored && entry->state.after_close && entry->state.closes_at_ms != 0 &&
           !article_state_hides(&entry->state, unix_ms);
}

void states_expire(struct states *states, uint64_t unix_ms,
                   void (*shows)(void *user, const char *article, size_t bytes), void *user)
{
    struct heap_node *first;
    while ((first = heap_first(&states->times)) != NULL && first->due <= unix_ms) {
        struct entry *entry = HEAP_OWNER(first, struct entry, next_ms);
        time_it(states, entry, unix_ms);
        if (shows_now(entry, unix_ms))
            shows(user, entry->article, entry->bytes);
        settle(states, entry, unix_ms);
    }
}

void states_shown(const struct states *states, uint64_t unix_ms,
                  void (*shows)(void *user, const char *article, size_t bytes), void *user)
{
    for (const struct entry *entry = states->by_article; entry != NULL; entry = entry->hh.next)
        if (shows_now(entry, unix_ms))
            shows(user, entry->article, entry->bytes);
}

/* --- hidden totals --- */

bool states_total_stands(const struct states *states, const char *article, size_t bytes)
{
    const struct entry *entry = find(states, article, bytes);
    return entry == NULL || !entry->no_total;
}

void states_total_is(struct states *states, const char *article, size_t bytes, bool there)
{
    struct entry *entry = find(states, article, bytes);
    if (entry != NULL)
        entry->no_total = !there;
}

const struct states_stats *states_stats(const struct states *states)
{
    return &states->stats;
}
