/* Every article is in exactly one of five lists:
 *
 *   READY    due                        -> TAKEN by conflate_take
 *   TAKEN    being fetched              -> COOLING when published
 *   COOLING  published within interval, or found stale  -> READY where it changed meanwhile or is
 *            stale, else SETTLING or QUIET
 *   SETTLING waits for its repeat       -> READY
 *   QUIET    nothing to do; the first to be forgotten
 *
 * COOLING and SETTLING are in order of the time of publication, as their delays are the same for
 * all: the head is due first, and no heap is needed. Those that changed and were not published
 * since are also in a list of their shard, in order of noting: its head is the oldest.
 *
 * What is to be compared lies in QUIET, from `doubted` towards the head; what becomes quiet later
 * is appended behind it. */
#include "conflate.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
/* Each function that hashes calls its table `table`. */
#define HASH_FUNCTION(key, bytes, out) ((out) = article_hash((key), (bytes), table->config.seed))
#include <uthash.h>
#include <utlist.h>

enum place { READY, TAKEN, COOLING, SETTLING, QUIET, PLACES };

struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next;           /* of its place's list */
    struct entry *wait_prev, *wait_next; /* of its shard's waiting list */
    uint64_t since;                      /* oldest change score heard of and not published */
    uint64_t noted;                      /* newest change score heard of */
    uint64_t noted_when_taken; /* a change heard of later may not be in what was fetched */
    uint64_t published;        /* highest version that went out; 0 none */
    uint64_t published_at_ms;
    uint32_t generation; /* of the broker it was published to */
    uint32_t batch;      /* (TAKEN) it was handed out with */
    uint8_t shard;
    uint8_t place;
    uint8_t bytes;
    bool waiting;  /* changed and not yet published */
    bool repeat;   /* is to be repeated, or (READY, TAKEN) is due for that alone */
    bool again;    /* (COOLING) is to be repeated or compared, and not late */
    bool doubtful; /* is to be compared */
    bool stale;    /* was found lower in Redis */
    bool gone;     /* what was published last is that it is forgotten */
    bool unhashed; /* uthash had no memory */
    char article[];
};

struct conflate {
    struct conflate_config config;
    struct entry *by_article;
    struct entry *list[PLACES];
    struct entry **waiting; /* by shard */
    struct entry *doubted;  /* (QUIET) the next to be compared; NULL none */
    uint64_t highest;       /* version published, of all */
    uint32_t generation;
    uint32_t batch;
    struct conflate_stats stats;
};

static struct entry *conflate_find(const struct conflate *table, const char *article, size_t bytes)
{
    struct entry *entry = NULL;
    HASH_FIND(hh, table->by_article, article, bytes, entry);
    return entry;
}

/* Before it leaves its place. */
static void pass_doubt(struct conflate *table, const struct entry *entry)
{
    if (table->doubted == entry)
        table->doubted = entry == table->list[QUIET] ? NULL : entry->prev;
}

static void set_doubtful(struct conflate *table, struct entry *entry, bool doubtful)
{
    table->stats.doubtful += (size_t)doubtful - (size_t)entry->doubtful;
    entry->doubtful = doubtful;
}

static void set_stale(struct conflate *table, struct entry *entry, bool stale)
{
    table->stats.stale += (size_t)stale - (size_t)entry->stale;
    entry->stale = stale;
}

static void move(struct conflate *table, struct entry *entry, enum place place)
{
    pass_doubt(table, entry);
    DL_DELETE(table->list[entry->place], entry);
    entry->place = (uint8_t)place;
    DL_APPEND(table->list[place], entry);
}

static void set_waiting(struct conflate *table, struct entry *entry, uint64_t version)
{
    if (entry->waiting)
        return;
    entry->waiting = true;
    entry->since = version;
    table->stats.waiting++;
    DL_APPEND2(table->waiting[entry->shard], entry, wait_prev, wait_next);
}

static void clear_waiting(struct conflate *table, struct entry *entry)
{
    if (!entry->waiting)
        return;
    struct entry **head = &table->waiting[entry->shard];
    DL_DELETE2(*head, entry, wait_prev, wait_next);
    entry->waiting = false;
    table->stats.waiting--;
}

static void conflate_forget(struct conflate *table, struct entry *entry)
{
    clear_waiting(table, entry);
    set_doubtful(table, entry, false);
    set_stale(table, entry, false);
    pass_doubt(table, entry);
    DL_DELETE(table->list[entry->place], entry);
    HASH_DEL(table->by_article, entry);
    table->stats.articles--;
    free(entry);
}

/* Makes room for one more article. */
static bool make_room(struct conflate *table)
{
    if (table->stats.articles < table->config.max_articles)
        return true;
    struct entry *victim = table->list[QUIET];
    if (victim == NULL) {
        victim = table->list[SETTLING];
        if (victim == NULL)
            return false;
        table->stats.repeats_lost++;
    }
    table->stats.evicted++;
    conflate_forget(table, victim);
    return true;
}

static struct entry *conflate_add(struct conflate *table, uint32_t shard, const char *article,
                                  size_t bytes)
{
    if (!make_room(table))
        return NULL;
    struct entry *entry = calloc(1, sizeof *entry + bytes);
    if (entry == NULL)
        return NULL;
    memcpy(entry->article, article, bytes);
    entry->bytes = (uint8_t)bytes;
    entry->shard = (uint8_t)shard;
    entry->generation = table->generation;
    HASH_ADD_KEYPTR(hh, table->by_article, entry->article, bytes, entry);
    if (entry->unhashed) {
        free(entry);
        return NULL;
    }
    entry->place = QUIET;
    DL_APPEND(table->list[QUIET], entry);
    table->stats.articles++;
    return entry;
}

static bool is_known(const struct conflate *table, const struct entry *entry, uint64_t version)
{
    return entry->generation == table->generation && entry->published >= version;
}

struct conflate *conflate_new(const struct conflate_config *config)
{
    struct conflate *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->config = *config;
    table->waiting = calloc(config->shards, sizeof(struct entry *));
    if (table->waiting == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

void conflate_free(struct conflate *table)
{
    if (table == NULL)
        return;
    for (int place = 0; place < PLACES; place++)
        while (table->list[place] != NULL)
            conflate_forget(table, table->list[place]);
    free(table->waiting);
    free(table);
}

enum conflate_answer conflate_note(struct conflate *table, uint32_t shard, const char *article,
                                   size_t bytes, uint64_t version, uint64_t now_ms)
{
    (void)now_ms;
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL)
        entry = conflate_add(table, shard, article, bytes);
    if (entry == NULL) {
        table->stats.refused++;
        return CONFLATE_FULL;
    }
    if (is_known(table, entry, version))
        return CONFLATE_KNOWN;
    entry->noted = version;
    set_waiting(table, entry, version);
    if (entry->place == QUIET || entry->place == SETTLING)
        move(table, entry, READY);
    return CONFLATE_NOTED;
}

static bool is_past(uint64_t since_ms, uint64_t delay_ms, uint64_t now_ms)
{
    return now_ms >= since_ms && now_ms - since_ms >= delay_ms;
}

/* Moves on those whose time has come. */
static void expire(struct conflate *table, uint64_t now_ms)
{
    struct entry *entry;
    while ((entry = table->list[COOLING]) != NULL &&
           is_past(entry->published_at_ms, table->config.interval_ms, now_ms)) {
        bool due = entry->waiting || entry->again;
        entry->again = false;
        move(table, entry, due ? READY : entry->repeat ? SETTLING : QUIET);
    }
    while ((entry = table->list[SETTLING]) != NULL &&
           is_past(entry->published_at_ms, table->config.repeat_ms, now_ms))
        move(table, entry, READY);
}

size_t conflate_take(struct conflate *table, uint64_t now_ms, struct conflate_due *out, size_t max)
{
    size_t n = 0;
    expire(table, now_ms);
    table->batch++;
    while (n < max && table->list[READY] != NULL) {
        struct entry *entry = table->list[READY];
        move(table, entry, TAKEN);
        entry->noted_when_taken = entry->noted;
        entry->batch = table->batch;
        bool compare = entry->doubtful || entry->stale;
        out[n++] = (struct conflate_due){.article = entry->article,
                                         .article_bytes = entry->bytes,
                                         .shard = entry->shard,
                                         .batch = table->batch,
                                         .repeat = !entry->waiting,
                                         .compare = compare,
                                         .silent = compare && !entry->waiting && !entry->repeat};
    }
    return n;
}

uint64_t conflate_version(const struct conflate *table, const char *article, size_t bytes)
{
    const struct entry *entry = conflate_find(table, article, bytes);
    return entry == NULL ? 0 : entry->published;
}

uint64_t conflate_highest(const struct conflate *table)
{
    return table->highest;
}

static void set_published(struct conflate *table, struct entry *entry, uint64_t version)
{
    if (version > entry->published)
        entry->published = version;
    if (version > table->highest)
        table->highest = version;
    entry->generation = table->generation;
}

bool conflate_knows(const struct conflate *table, const char *article, size_t bytes,
                    uint64_t version)
{
    const struct entry *entry = conflate_find(table, article, bytes);
    return entry != NULL && is_known(table, entry, version);
}

/* Whether what was fetched is the answer to all that was noted, even where its version is lower:
 * Redis may have gone back. */
static bool is_settled(const struct entry *entry)
{
    return entry->place == TAKEN && entry->noted == entry->noted_when_taken;
}

void conflate_published(struct conflate *table, uint32_t shard, const char *article, size_t bytes,
                        uint64_t version, uint64_t now_ms)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL)
        entry = conflate_add(table, shard, article, bytes);
    if (entry == NULL)
        return; /* full: this version is not remembered */
    /* A repeat may find something new, before it was heard that the article changed. */
    bool is_new = entry->published != 0 && version > entry->published;
    entry->repeat = entry->waiting || is_new || (entry->repeat && entry->place == COOLING);
    if (version >= entry->noted || is_settled(entry))
        clear_waiting(table, entry);
    set_published(table, entry, version);
    set_doubtful(table, entry, false);
    set_stale(table, entry, false);
    entry->gone = false;
    entry->published_at_ms = now_ms;
    move(table, entry, COOLING);
}

void conflate_gone(struct conflate *table, const char *article, size_t bytes)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry != NULL)
        entry->gone = true;
}

bool conflate_is_gone(const struct conflate *table, const char *article, size_t bytes)
{
    const struct entry *entry = conflate_find(table, article, bytes);
    return entry != NULL && entry->gone;
}

void conflate_repeat(struct conflate *table, const char *article, size_t bytes)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry != NULL && entry->place == COOLING)
        entry->repeat = true;
}

void conflate_again(struct conflate *table, uint32_t shard, const char *article, size_t bytes)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL)
        entry = conflate_add(table, shard, article, bytes);
    if (entry == NULL)
        return; /* all in the table wait; counted where they are noted */
    entry->repeat = true;
    if (entry->place == QUIET || entry->place == SETTLING)
        move(table, entry, READY);
    else
        entry->again = entry->place == COOLING; /* others are on their way */
}

void conflate_drop(struct conflate *table, const char *article, size_t bytes)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL || entry->place != TAKEN)
        return;
    bool settled = is_settled(entry);
    if (settled)
        clear_waiting(table, entry);
    entry->repeat = false;
    set_doubtful(table, entry, false);
    set_stale(table, entry, false);
    move(table, entry, settled ? QUIET : READY);
}

void conflate_give_back(struct conflate *table, const char *article, size_t bytes)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL || entry->place != TAKEN)
        return;
    DL_DELETE(table->list[TAKEN], entry);
    entry->place = READY;
    DL_PREPEND(table->list[READY], entry);
}

void conflate_give_back_batch(struct conflate *table, uint32_t batch)
{
    struct entry *entry, *following;
    DL_FOREACH_SAFE(table->list[TAKEN], entry, following)
    {
        if (entry->batch == batch)
            move(table, entry, READY);
    }
}

void conflate_reset(struct conflate *table, bool forget_published)
{
    for (uint32_t shard = 0; shard < table->config.shards; shard++)
        while (table->waiting[shard] != NULL)
            clear_waiting(table, table->waiting[shard]);
    while (table->list[READY] != NULL)
        move(table, table->list[READY], QUIET);
    while (table->list[TAKEN] != NULL)
        move(table, table->list[TAKEN], QUIET);
    if (!forget_published)
        return;
    table->generation++;
    while (table->list[COOLING] != NULL)
        move(table, table->list[COOLING], QUIET);
    while (table->list[SETTLING] != NULL)
        move(table, table->list[SETTLING], QUIET);
}

void conflate_retained(struct conflate *table, uint32_t shard, const char *article, size_t bytes,
                       uint64_t version)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL)
        entry = conflate_add(table, shard, article, bytes);
    if (entry != NULL)
        set_published(table, entry, version);
    else if (version > table->highest)
        table->highest = version;
}

void conflate_doubt(struct conflate *table)
{
    struct entry *entry;
    while ((entry = table->list[SETTLING]) != NULL)
        move(table, entry, QUIET);
    while ((entry = table->list[COOLING]) != NULL) {
        entry->again = false;
        move(table, entry, entry->waiting ? READY : QUIET);
    }
    table->doubted = table->list[QUIET] != NULL ? table->list[QUIET]->prev : NULL;
}

size_t conflate_doubt_more(struct conflate *table, size_t n)
{
    size_t more = 0;
    for (; more < n && table->doubted != NULL; more++) {
        struct entry *entry = table->doubted;
        set_doubtful(table, entry, true);
        move(table, entry, READY);
    }
    return more;
}

bool conflate_doubts(const struct conflate *table)
{
    return table->doubted != NULL || table->stats.doubtful > 0 || table->stats.stale > 0;
}

bool conflate_stale(struct conflate *table, uint32_t shard, const char *article, size_t bytes,
                    uint64_t now_ms)
{
    struct entry *entry = conflate_find(table, article, bytes);
    if (entry == NULL)
        entry = conflate_add(table, shard, article, bytes);
    if (entry == NULL) {
        table->stats.refused++;
        return false;
    }
    set_doubtful(table, entry, false);
    set_stale(table, entry, true);
    entry->again = true;
    entry->published_at_ms = now_ms;
    move(table, entry, COOLING);
    return true;
}

void conflate_hurry(struct conflate *table)
{
    struct entry *entry, *following;
    DL_FOREACH_SAFE(table->list[COOLING], entry, following)
    {
        if (entry->waiting)
            move(table, entry, READY);
    }
}

static uint64_t left_ms(const struct entry *head, uint64_t delay_ms, uint64_t now_ms)
{
    if (head == NULL)
        return UINT64_MAX;
    return is_past(head->published_at_ms, delay_ms, now_ms)
               ? 0
               : head->published_at_ms + delay_ms - now_ms;
}

uint64_t conflate_next_ms(const struct conflate *table, uint64_t now_ms)
{
    if (table->list[READY] != NULL)
        return 0;
    uint64_t cooled = left_ms(table->list[COOLING], table->config.interval_ms, now_ms);
    uint64_t settled = left_ms(table->list[SETTLING], table->config.repeat_ms, now_ms);
    return cooled < settled ? cooled : settled;
}

uint64_t conflate_oldest_waiting(const struct conflate *table, uint32_t shard)
{
    return table->waiting[shard] == NULL ? 0 : table->waiting[shard]->since;
}

struct conflate_stats conflate_stats(const struct conflate *table)
{
    return table->stats;
}
