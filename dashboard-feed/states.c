/* The rules: from what Redis has, what the broker holds and what operators request, they tell what
 * to store and what to publish. */
#include "states.h"

#include "state_table.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define SOMETHING UINT64_MAX /* the broker holds something that no feed wrote */

struct states_shard {
    uint32_t load;
    bool loaded;
    bool judged; /* the broker's states were compared with Redis's */
};

struct states {
    struct state_table table;
    uint32_t shards;
    struct states_shard shard[STATES_MAX_SHARDS];
    bool due_open; /* what states_next_due said of the first */
    struct state_entry *requests;
    struct state_entry *later; /* those that were not stored, until they are tried again */
    size_t requested;
    uint64_t refused, restored;
};

/* --- entries --- */

static struct state_entry *states_add(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = state_table_add(&states->table, article, bytes);
    if (entry == NULL)
        states->refused++;
    else
        entry->shard = (uint8_t)article_shard(article, bytes, states->shards);
    return entry;
}

static struct state_entry *find_or_add(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    return entry != NULL ? entry : states_add(states, article, bytes);
}

static struct states_shard *shard_of(struct states *states, const struct state_entry *entry)
{
    return &states->shard[entry->shard];
}

/* The version of the state that the broker holds; 0 none. */
static uint64_t held_version(const struct state_entry *entry)
{
    return entry->holds == SOMETHING ? 0 : entry->holds;
}

/* Whether the broker's state may be newer than the known one of Redis. */
static bool is_open_question(const struct states *states, const struct state_entry *entry)
{
    uint64_t held = held_version(entry);
    return !states->shard[entry->shard].judged && held > 0 &&
           (!entry->stored || held > entry->state.version);
}

/* The message to publish for it; the entry may be gone after this. */
static void states_settle(struct states *states, struct state_entry *entry, uint64_t unix_ms)
{
    bool open = entry->stored && article_state_open_at(&entry->state, unix_ms);
    enum state_due due = DUE_NOT;
    if (entry->request != REQUEST_NONE || is_open_question(states, entry))
        due = DUE_NOT;
    else if (entry->stored && (entry->holds != entry->state.version || entry->holds_open != open))
        due = open ? DUE_OPEN : DUE_CLOSED;
    else if (!entry->stored && entry->holds != 0 && shard_of(states, entry)->loaded)
        due = DUE_OPEN;
    state_table_set_due(&states->table, entry, due);
    if (!entry->stored && entry->holds == 0 && entry->request == REQUEST_NONE)
        state_table_remove(&states->table, entry);
}

struct states *states_new(const struct states_config *config)
{
    struct states *states = calloc(1, sizeof *states);
    if (states != NULL) {
        states->table.max = config->max;
        states->shards = 1;
        memcpy(states->table.seed, config->seed, sizeof states->table.seed);
    }
    return states;
}

void states_free(struct states *states)
{
    if (states == NULL)
        return;
    state_table_fini(&states->table);
    free(states);
}

/* --- news from Redis and the broker --- */

void states_new_broker(struct states *states, uint64_t unix_ms)
{
    struct state_entry *entry, *following;
    for (uint32_t i = 0; i < STATES_MAX_SHARDS; i++)
        states->shard[i].judged = false;
    HASH_ITER(hh, states->table.by_article, entry, following)
    {
        entry->holds = 0;
        entry->no_total = false;
        free(entry->held);
        entry->held = NULL;
        states_settle(states, entry, unix_ms);
    }
}

/* `requested` NULL: that it has none. */
static bool set_request(struct states *states, struct state_entry *entry,
                        const struct article_state *requested)
{
    if (requested != NULL && entry->requested == NULL) {
        entry->requested = malloc(sizeof *entry->requested);
        if (entry->requested == NULL)
            return false;
    }
    if (requested != NULL)
        *entry->requested = *requested;
    entry->new_request = entry->taken;
    if (entry->request == REQUEST_NONE) {
        DL_APPEND2(states->requests, entry, request_prev, request_next);
        states->requested++;
    }
    entry->request = requested == NULL ? REQUEST_AWAY : REQUEST_STATE;
    state_table_set_due(&states->table, entry, DUE_NOT);
    return true;
}

/* States above Redis's also need their contents. No memory: Redis's count. */
static void keep_held(const struct states *states, struct state_entry *entry,
                      const struct article_state *state)
{
    free(entry->held);
    entry->held = NULL;
    if (states->shard[entry->shard].judged || state == NULL ||
        (entry->stored && state->version <= entry->state.version))
        return;
    entry->held = malloc(sizeof *entry->held);
    if (entry->held != NULL)
        *entry->held = *state;
}

bool states_heard(struct states *states, const char *article, size_t bytes,
                  const struct article_state *state, uint64_t unix_ms)
{
    struct state_entry *entry = find_or_add(states, article, bytes);
    if (entry == NULL)
        return false;
    if (state != NULL && state->version == 0) {
        entry->holds = SOMETHING;
        return set_request(states, entry, state);
    }
    entry->holds = state == NULL ? SOMETHING : state->version;
    entry->holds_open = state != NULL && state->open;
    keep_held(states, entry, state);
    states_settle(states, entry, unix_ms);
    return true;
}

bool states_heard_nothing(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = find_or_add(states, article, bytes);
    if (entry == NULL)
        return false;
    entry->holds = 0;
    return set_request(states, entry, NULL);
}

static void set_stored(struct states *states, struct state_entry *entry,
                       const struct article_state *state, uint64_t unix_ms)
{
    entry->stored = state != NULL;
    if (state != NULL)
        entry->state = *state;
    entry->load = shard_of(states, entry)->load;
    state_table_set_time(&states->table, entry, unix_ms);
    states_settle(states, entry, unix_ms);
}

/* Redis lost the state with its last seconds: store it once more. */
static void request_again(struct states *states, struct state_entry *entry)
{
    struct article_state own = entry->state;
    own.version = 0;
    own.open = false;
    if (entry->request == REQUEST_NONE && set_request(states, entry, &own))
        states->restored++;
}

bool states_stored(struct states *states, const char *article, size_t bytes,
                   const struct article_state *state, uint64_t unix_ms)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    if (entry == NULL && state != NULL)
        entry = states_add(states, article, bytes);
    if (entry == NULL)
        return state == NULL;
    if (state != NULL && entry->stored && state->version <= entry->state.version) {
        entry->load = shard_of(states, entry)->load;
        if (state->version < entry->state.version)
            request_again(states, entry); /* versions only rise: it went back */
        return true;
    }
    set_stored(states, entry, state, unix_ms);
    return true;
}

void states_store(struct states *states, uint32_t shards, bool another)
{
    struct state_entry *entry, *following;
    bool moved = shards != states->shards;
    states->shards = shards;
    for (uint32_t i = 0; i < STATES_MAX_SHARDS && (moved || another); i++)
        states->shard[i].loaded = states->shard[i].judged = false;
    HASH_ITER(hh, states->table.by_article, entry, following)
    {
        if (moved)
            entry->shard = (uint8_t)article_shard(entry->article, entry->bytes, shards);
        if (another)
            set_stored(states, entry, NULL, 0);
    }
}

void states_load_begin(struct states *states, uint32_t shard)
{
    states->shard[shard].load++;
    states->shard[shard].loaded = states->shard[shard].judged = false;
}

void states_load_skip(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    if (entry != NULL)
        entry->load = shard_of(states, entry)->load;
}

void states_load_end(struct states *states, uint32_t shard, uint64_t lost_from_us, uint64_t unix_ms)
{
    struct state_entry *entry, *following;
    uint32_t load = states->shard[shard].load;
    states->shard[shard].loaded = true;
    HASH_ITER(hh, states->table.by_article, entry, following)
    {
        if (entry->shard != shard)
            continue;
        if (entry->load != load && entry->stored && entry->state.version >= lost_from_us)
            request_again(states, entry);
        else if (entry->load != load)
            set_stored(states, entry, NULL, unix_ms);
        else
            states_settle(states, entry, unix_ms);
    }
}

static bool was_lost(const struct state_entry *entry, uint64_t from_us)
{
    if (entry->held == NULL)
        return false;
    if (entry->stored)
        return from_us != UINT64_MAX && entry->held->version > entry->state.version;
    return entry->held->version >= from_us;
}

void states_judge(struct states *states, uint32_t shard, bool another, uint64_t lost_from_us,
                  uint64_t unix_ms)
{
    struct state_entry *entry, *following;
    if (states->shard[shard].judged)
        return;
    states->shard[shard].judged = true;
    HASH_ITER(hh, states->table.by_article, entry, following)
    {
        if (entry->shard != shard)
            continue;
        if (another && entry->stored && held_version(entry) >= entry->state.version) {
            request_again(states, entry);
        } else if (!another && was_lost(entry, lost_from_us)) {
            entry->stored = true;
            entry->state = *entry->held;
            request_again(states, entry);
        }
        free(entry->held);
        entry->held = NULL;
        states_settle(states, entry, unix_ms);
    }
}

/* --- states to store --- */

bool states_take_request(struct states *states, struct states_request *out)
{
    struct state_entry *entry = states->requests;
    if (entry == NULL)
        return false;
    DL_DELETE2(states->requests, entry, request_prev, request_next);
    entry->taken = true;
    entry->new_request = false;
    memset(out, 0, sizeof *out);
    memcpy(out->article, entry->article, entry->bytes);
    out->bytes = entry->bytes;
    out->away = entry->request == REQUEST_AWAY;
    out->above = held_version(entry);
    if (entry->stored && entry->state.version > out->above)
        out->above = entry->state.version;
    if (!out->away)
        out->state = *entry->requested;
    return true;
}

/* A request that was taken and its entry; NULL if there is none. */
static struct state_entry *find_taken(const struct states *states, const char *article,
                                      size_t bytes)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    return entry != NULL && entry->taken ? entry : NULL;
}

void states_request_back(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = find_taken(states, article, bytes);
    if (entry == NULL)
        return;
    entry->taken = false;
    DL_APPEND2(states->later, entry, request_prev, request_next);
}

void states_retry_requests(struct states *states)
{
    DL_CONCAT2(states->requests, states->later, request_prev, request_next);
    states->later = NULL;
}

void states_request_stored(struct states *states, const char *article, size_t bytes,
                           uint64_t version, uint64_t unix_ms)
{
    struct state_entry *entry = find_taken(states, article, bytes);
    if (entry == NULL)
        return;
    if (entry->new_request) {
        entry->taken = false;
        DL_APPEND2(states->requests, entry, request_prev, request_next);
        return;
    }
    struct article_state *stored = entry->request == REQUEST_AWAY ? NULL : entry->requested;
    entry->taken = false;
    entry->request = REQUEST_NONE;
    states->requested--;
    if (stored != NULL)
        stored->version = version;
    else if (version > 0)
        entry->holds = SOMETHING; /* a state published meanwhile may have come after the request */
    struct article_state *requested = entry->requested;
    entry->requested = NULL;
    set_stored(states, entry, stored, unix_ms);
    free(requested);
}

/* --- states to publish --- */

bool states_next_due(struct states *states, uint64_t unix_ms, struct states_due *out)
{
    struct state_entry *entry = state_table_first_due(&states->table);
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
    struct state_entry *entry = state_table_first_due(&states->table);
    entry->holds_open = states->due_open;
    entry->holds = entry->stored ? entry->state.version : 0;
    state_table_set_due(&states->table, entry, DUE_NOT);
    if (!entry->stored)
        state_table_remove(&states->table, entry);
}

void states_again(struct states *states, const char *article, size_t bytes)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    if (entry != NULL && entry->stored && entry->request == REQUEST_NONE && entry->due == DUE_NOT)
        state_table_set_due(&states->table, entry, DUE_OPEN);
}

/* --- time --- */

uint64_t states_next_ms(const struct states *states, uint64_t unix_ms)
{
    const struct state_entry *first = state_table_first_time(&states->table);
    if (first == NULL)
        return UINT64_MAX;
    return first->next_ms.due > unix_ms ? first->next_ms.due - unix_ms : 0;
}

static bool shows_now(const struct state_entry *entry, uint64_t unix_ms)
{
    return entry->stored && entry->state.after_close && entry->state.closes_at_ms != 0 &&
           !article_state_hides(&entry->state, unix_ms);
}

void states_expire(struct states *states, uint64_t unix_ms,
                   void (*shows)(void *user, const char *article, size_t bytes), void *user)
{
    struct state_entry *entry;
    while ((entry = state_table_first_time(&states->table)) != NULL &&
           entry->next_ms.due <= unix_ms) {
        state_table_set_time(&states->table, entry, unix_ms);
        if (shows_now(entry, unix_ms))
            shows(user, entry->article, entry->bytes);
        states_settle(states, entry, unix_ms);
    }
}

void states_shown(const struct states *states, uint32_t shard, uint64_t unix_ms,
                  void (*shows)(void *user, const char *article, size_t bytes), void *user)
{
    for (const struct state_entry *entry = states->table.by_article; entry != NULL;
         entry = entry->hh.next)
        if (entry->shard == shard && shows_now(entry, unix_ms))
            shows(user, entry->article, entry->bytes);
}

/* --- hidden totals --- */

bool states_total_retained(const struct states *states, const char *article, size_t bytes)
{
    const struct state_entry *entry = state_table_find(&states->table, article, bytes);
    return entry == NULL || !entry->no_total;
}

void states_set_total_retained(struct states *states, const char *article, size_t bytes, bool there)
{
    struct state_entry *entry = state_table_find(&states->table, article, bytes);
    if (entry != NULL)
        entry->no_total = !there;
}

struct states_stats states_stats(const struct states *states)
{
    return (struct states_stats){
        .articles = states->table.articles,
        .requests = states->requested,
        .due = states->table.due_articles,
        .refused = states->refused,
        .restored = states->restored,
    };
}
