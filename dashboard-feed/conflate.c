/* The rules: when each article is due, and what was published. Articles that changed and
 * were not published since are also in a list of their shard, in order of noting: its head is
 * the oldest.
 *
 * A resync is a number: an article of a shard must be compared if it was last compared in another
 * resync of the shard than the present one. So a new resync costs nothing but a walk through what
 * is quiet, and what an earlier walk did not reach is reached by the next. */
#include "conflate.h"

#include "conflate_table.h"

#include <stdlib.h>
#include <string.h>

#define WALK_MAX 20000 /* articles looked at by one conflate_resync_more: about a millisecond */

struct conflate_shard {
    struct conflate_entry *waiting;
    uint32_t resync;
    bool resyncing; /* the walk has not ended since */
    size_t unsure;  /* articles that must be compared, or are stale */
};

struct conflate {
    struct conflate_config config;
    struct conflate_table table;
    struct conflate_shard *shard;
    uint64_t highest; /* version published, of all */
    uint32_t generation;
    uint32_t batch;
    struct conflate_stats stats;
};

static struct conflate_entry *conflate_find(const struct conflate *conflate, const char *article,
                                            size_t bytes)
{
    return conflate_table_find(&conflate->table, article, bytes);
}

static void set_resync(struct conflate *conflate, struct conflate_entry *entry, bool resync)
{
    size_t change = (size_t)resync - (size_t)entry->resync;
    conflate->stats.resync += change;
    conflate->shard[entry->shard].unsure += change;
    entry->resync = resync;
}

static void set_stale(struct conflate *conflate, struct conflate_entry *entry, bool stale)
{
    size_t change = (size_t)stale - (size_t)entry->stale;
    conflate->stats.stale += change;
    conflate->shard[entry->shard].unsure += change;
    entry->stale = stale;
}

/* It was fetched. */
static void set_compared(struct conflate *conflate, struct conflate_entry *entry)
{
    set_resync(conflate, entry, false);
    set_stale(conflate, entry, false);
    entry->compared = conflate->shard[entry->shard].resync;
}

static void move(struct conflate *conflate, struct conflate_entry *entry, enum place place)
{
    conflate_table_move(&conflate->table, entry, place);
}

static void set_waiting(struct conflate *conflate, struct conflate_entry *entry, uint64_t version)
{
    if (entry->waiting)
        return;
    entry->waiting = true;
    entry->since = version;
    conflate->stats.waiting++;
    DL_APPEND2(conflate->shard[entry->shard].waiting, entry, wait_prev, wait_next);
}

static void clear_waiting(struct conflate *conflate, struct conflate_entry *entry)
{
    if (!entry->waiting)
        return;
    struct conflate_entry **head = &conflate->shard[entry->shard].waiting;
    DL_DELETE2(*head, entry, wait_prev, wait_next);
    entry->waiting = false;
    conflate->stats.waiting--;
}

static void conflate_forget(struct conflate *conflate, struct conflate_entry *entry)
{
    clear_waiting(conflate, entry);
    set_resync(conflate, entry, false);
    set_stale(conflate, entry, false);
    conflate_table_remove(&conflate->table, entry);
}

/* Makes room for one more article. */
static bool make_room(struct conflate *conflate)
{
    if (conflate->table.n < conflate->config.max_articles)
        return true;
    struct conflate_entry *victim = conflate->table.list[QUIET];
    if (victim == NULL) {
        victim = conflate->table.list[SETTLING];
        if (victim == NULL)
            return false;
        conflate->stats.repeats_lost++;
    }
    conflate->stats.evicted++;
    conflate_forget(conflate, victim);
    return true;
}

static struct conflate_entry *conflate_add(struct conflate *conflate, uint32_t shard,
                                           const char *article, size_t bytes)
{
    if (!make_room(conflate))
        return NULL;
    struct conflate_entry *entry = conflate_table_add(&conflate->table, shard, article, bytes);
    if (entry == NULL)
        return NULL;
    entry->generation = conflate->generation;
    entry->compared = conflate->shard[shard].resync;
    return entry;
}

/* NULL if there is no room for a new one. */
static struct conflate_entry *find_or_add(struct conflate *conflate, uint32_t shard,
                                          const char *article, size_t bytes)
{
    struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    return entry != NULL ? entry : conflate_add(conflate, shard, article, bytes);
}

static bool is_known(const struct conflate *conflate, const struct conflate_entry *entry,
                     uint64_t version)
{
    return entry->generation == conflate->generation && entry->published >= version;
}

struct conflate *conflate_new(const struct conflate_config *config)
{
    struct conflate *conflate = calloc(1, sizeof *conflate);
    if (conflate == NULL)
        return NULL;
    conflate->config = *config;
    conflate->shard = calloc(config->shards, sizeof conflate->shard[0]);
    if (conflate_table_init(&conflate->table, config->shards, config->seed) != 0 ||
        conflate->shard == NULL) {
        conflate_free(conflate);
        return NULL;
    }
    return conflate;
}

void conflate_free(struct conflate *conflate)
{
    if (conflate == NULL)
        return;
    conflate_table_fini(&conflate->table);
    free(conflate->shard);
    free(conflate);
}

enum conflate_answer conflate_note(struct conflate *conflate, uint32_t shard, const char *article,
                                   size_t bytes, uint64_t version, uint64_t now_ms)
{
    (void)now_ms;
    struct conflate_entry *entry = find_or_add(conflate, shard, article, bytes);
    if (entry == NULL) {
        conflate->stats.refused++;
        return CONFLATE_FULL;
    }
    if (is_known(conflate, entry, version))
        return CONFLATE_KNOWN;
    entry->noted = version;
    set_waiting(conflate, entry, version);
    if (entry->place == QUIET || entry->place == SETTLING)
        move(conflate, entry, READY);
    return CONFLATE_NOTED;
}

static bool is_past(uint64_t since_ms, uint64_t delay_ms, uint64_t now_ms)
{
    return now_ms >= since_ms && now_ms - since_ms >= delay_ms;
}

/* Moves on those whose time has come. */
static void expire(struct conflate *conflate, uint64_t now_ms)
{
    struct conflate_entry *entry;
    while ((entry = conflate->table.list[COOLING]) != NULL &&
           is_past(entry->published_at_ms, conflate->config.interval_ms, now_ms)) {
        bool due = entry->waiting || entry->again;
        entry->again = false;
        move(conflate, entry, due ? READY : entry->repeat ? SETTLING : QUIET);
    }
    while ((entry = conflate->table.list[SETTLING]) != NULL &&
           is_past(entry->published_at_ms, conflate->config.repeat_ms, now_ms))
        move(conflate, entry, READY);
}

bool conflate_due_shard(struct conflate *conflate, uint64_t now_ms, uint64_t busy, uint32_t *shard)
{
    expire(conflate, now_ms);
    return conflate_table_longest_ready(&conflate->table, busy, shard);
}

size_t conflate_take(struct conflate *conflate, uint32_t shard, uint64_t now_ms,
                     struct conflate_due *out, size_t max)
{
    size_t n = 0;
    expire(conflate, now_ms);
    conflate->batch++;
    while (n < max && conflate->table.ready[shard] != NULL) {
        struct conflate_entry *entry = conflate->table.ready[shard];
        move(conflate, entry, TAKEN);
        entry->noted_when_taken = entry->noted;
        entry->batch = conflate->batch;
        bool compare = entry->resync || entry->stale;
        out[n++] = (struct conflate_due){.article = entry->article,
                                         .article_bytes = entry->bytes,
                                         .shard = entry->shard,
                                         .batch = conflate->batch,
                                         .repeat = !entry->waiting,
                                         .compare = compare,
                                         .silent = compare && !entry->waiting && !entry->repeat};
    }
    return n;
}

uint64_t conflate_version(const struct conflate *conflate, const char *article, size_t bytes)
{
    const struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    return entry == NULL ? 0 : entry->published;
}

uint64_t conflate_highest(const struct conflate *conflate)
{
    return conflate->highest;
}

static void set_published(struct conflate *conflate, struct conflate_entry *entry, uint64_t version)
{
    if (version > entry->published)
        entry->published = version;
    if (version > conflate->highest)
        conflate->highest = version;
    entry->generation = conflate->generation;
}

bool conflate_knows(const struct conflate *conflate, const char *article, size_t bytes,
                    uint64_t version)
{
    const struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    return entry != NULL && is_known(conflate, entry, version);
}

/* Whether the fetched total covers every noted change, even if its version is lower:
 * Redis may have gone back. */
static bool is_settled(const struct conflate_entry *entry)
{
    return entry->place == TAKEN && entry->noted == entry->noted_when_taken;
}

void conflate_published(struct conflate *conflate, uint32_t shard, const char *article,
                        size_t bytes, uint64_t version, uint64_t now_ms)
{
    struct conflate_entry *entry = find_or_add(conflate, shard, article, bytes);
    if (entry == NULL)
        return; /* full: this version is not remembered */
    /* A repeat may find a new total before the feed hears of the change. */
    bool is_new = entry->published != 0 && version > entry->published;
    entry->repeat = entry->waiting || is_new || (entry->repeat && entry->place == COOLING);
    if (version >= entry->noted || is_settled(entry))
        clear_waiting(conflate, entry);
    set_published(conflate, entry, version);
    set_compared(conflate, entry);
    entry->gone = false;
    entry->published_at_ms = now_ms;
    move(conflate, entry, COOLING);
}

void conflate_gone(struct conflate *conflate, const char *article, size_t bytes)
{
    struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    if (entry != NULL)
        entry->gone = true;
}

bool conflate_is_gone(const struct conflate *conflate, const char *article, size_t bytes)
{
    const struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    return entry != NULL && entry->gone;
}

void conflate_repeat(struct conflate *conflate, const char *article, size_t bytes)
{
    struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    if (entry != NULL && entry->place == COOLING)
        entry->repeat = true;
}

void conflate_again(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes)
{
    struct conflate_entry *entry = find_or_add(conflate, shard, article, bytes);
    if (entry == NULL)
        return; /* all in the conflate wait; counted where they are noted */
    entry->repeat = true;
    if (entry->place == QUIET || entry->place == SETTLING)
        move(conflate, entry, READY);
    else
        entry->again = entry->place == COOLING; /* others are on their way */
}

void conflate_drop(struct conflate *conflate, const char *article, size_t bytes)
{
    struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    if (entry == NULL || entry->place != TAKEN)
        return;
    bool settled = is_settled(entry);
    if (settled)
        clear_waiting(conflate, entry);
    entry->repeat = false;
    set_compared(conflate, entry);
    move(conflate, entry, settled ? QUIET : READY);
}

void conflate_give_back(struct conflate *conflate, const char *article, size_t bytes)
{
    struct conflate_entry *entry = conflate_find(conflate, article, bytes);
    if (entry == NULL || entry->place != TAKEN)
        return;
    conflate_table_move_first(&conflate->table, entry);
}

void conflate_give_back_batch(struct conflate *conflate, uint32_t batch)
{
    struct conflate_entry *entry, *following;
    DL_FOREACH_SAFE(conflate->table.list[TAKEN], entry, following)
    {
        if (entry->batch == batch)
            move(conflate, entry, READY);
    }
}

void conflate_reset_shard(struct conflate *conflate, uint32_t shard)
{
    struct conflate_entry *entry, *following;
    while (conflate->shard[shard].waiting != NULL)
        clear_waiting(conflate, conflate->shard[shard].waiting);
    while (conflate->table.ready[shard] != NULL)
        move(conflate, conflate->table.ready[shard], QUIET);
    DL_FOREACH_SAFE(conflate->table.list[TAKEN], entry, following)
    {
        if (entry->shard == shard)
            move(conflate, entry, QUIET);
    }
}

void conflate_reset(struct conflate *conflate)
{
    for (uint32_t shard = 0; shard < conflate->config.shards; shard++)
        conflate_reset_shard(conflate, shard);
    conflate->generation++;
    while (conflate->table.list[COOLING] != NULL)
        move(conflate, conflate->table.list[COOLING], QUIET);
    while (conflate->table.list[SETTLING] != NULL)
        move(conflate, conflate->table.list[SETTLING], QUIET);
}

void conflate_retained(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes,
                       uint64_t version)
{
    struct conflate_entry *entry = find_or_add(conflate, shard, article, bytes);
    if (entry != NULL)
        set_published(conflate, entry, version);
    else if (version > conflate->highest)
        conflate->highest = version;
}

/* Nobody is looked at any more: the walk is over. */
static void end_walk(struct conflate *conflate)
{
    for (uint32_t i = 0; i < conflate->config.shards; i++)
        conflate->shard[i].resyncing = false;
}

void conflate_resync(struct conflate *conflate, uint32_t shard)
{
    struct conflate_entry *entry, *following;
    DL_FOREACH_SAFE(conflate->table.list[SETTLING], entry, following)
    {
        if (entry->shard == shard)
            move(conflate, entry, QUIET);
    }
    DL_FOREACH_SAFE(conflate->table.list[COOLING], entry, following)
    {
        if (entry->shard != shard)
            continue;
        entry->again = false;
        move(conflate, entry, entry->waiting ? READY : QUIET);
    }
    conflate->shard[shard].resync++;
    conflate->shard[shard].resyncing = true;
    entry = conflate->table.list[QUIET];
    conflate->table.resync_next = entry != NULL ? entry->prev : NULL;
    if (entry == NULL)
        end_walk(conflate);
}

size_t conflate_resync_more(struct conflate *conflate, uint64_t busy, size_t n)
{
    size_t more = 0;
    for (size_t i = 0; i < WALK_MAX && more < n && conflate->table.resync_next != NULL; i++) {
        struct conflate_entry *entry = conflate->table.resync_next;
        if (entry->compared == conflate->shard[entry->shard].resync ||
            (busy & UINT64_C(1) << entry->shard) != 0) {
            conflate_table_pass(&conflate->table, entry);
            continue;
        }
        entry->compared = conflate->shard[entry->shard].resync;
        set_resync(conflate, entry, true);
        move(conflate, entry, READY);
        more++;
    }
    if (conflate->table.resync_next == NULL)
        end_walk(conflate);
    return more;
}

bool conflate_resyncing(const struct conflate *conflate, uint32_t shard)
{
    return conflate->shard[shard].resyncing || conflate->shard[shard].unsure > 0;
}

bool conflate_stale(struct conflate *conflate, uint32_t shard, const char *article, size_t bytes,
                    uint64_t now_ms)
{
    struct conflate_entry *entry = find_or_add(conflate, shard, article, bytes);
    if (entry == NULL) {
        conflate->stats.refused++;
        return false;
    }
    set_compared(conflate, entry);
    set_stale(conflate, entry, true);
    entry->again = true;
    entry->published_at_ms = now_ms;
    move(conflate, entry, COOLING);
    return true;
}

void conflate_hurry(struct conflate *conflate)
{
    struct conflate_entry *entry, *following;
    DL_FOREACH_SAFE(conflate->table.list[COOLING], entry, following)
    {
        if (entry->waiting)
            move(conflate, entry, READY);
    }
}

static uint64_t left_ms(const struct conflate_entry *head, uint64_t delay_ms, uint64_t now_ms)
{
    if (head == NULL)
        return UINT64_MAX;
    return is_past(head->published_at_ms, delay_ms, now_ms)
               ? 0
               : head->published_at_ms + delay_ms - now_ms;
}

uint64_t conflate_next_ms(const struct conflate *conflate, uint64_t now_ms, uint64_t busy)
{
    uint32_t shard;
    if (conflate_table_longest_ready(&conflate->table, busy, &shard))
        return 0;
    uint64_t cooled = left_ms(conflate->table.list[COOLING], conflate->config.interval_ms, now_ms);
    uint64_t settled = left_ms(conflate->table.list[SETTLING], conflate->config.repeat_ms, now_ms);
    return cooled < settled ? cooled : settled;
}

uint64_t conflate_oldest_waiting(const struct conflate *conflate, uint32_t shard)
{
    return conflate->shard[shard].waiting == NULL ? 0 : conflate->shard[shard].waiting->since;
}

struct conflate_stats conflate_stats(const struct conflate *conflate)
{
    struct conflate_stats stats = conflate->stats;
    stats.articles = conflate->table.n;
    return stats;
}
