/* Lists and a hash. Entries to compare are in QUIET, from `resync_next` towards the head; what
 * becomes quiet later is appended behind it. */
#include "conflate_table.h"

#include <stdlib.h>
#include <string.h>

/* Each function that hashes calls its table `table`. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, bytes, out) ((out) = article_hash((key), (bytes), table->seed))

static struct conflate_entry **list_of(struct conflate_table *table, enum place place,
                                       uint32_t shard)
{
    return place == READY ? &table->ready[shard] : &table->list[place];
}

int conflate_table_init(struct conflate_table *table, uint32_t shards, const unsigned char *seed)
{
    memset(table, 0, sizeof *table);
    memcpy(table->seed, seed, sizeof table->seed);
    table->shards = shards;
    table->ready = calloc(shards, sizeof(struct conflate_entry *));
    return table->ready != NULL ? 0 : -1;
}

void conflate_table_fini(struct conflate_table *table)
{
    struct conflate_entry *entry, *following;
    HASH_ITER(hh, table->by_article, entry, following)
    {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each entry is in the hash once */
        HASH_DEL(table->by_article, entry);
        free(entry);
    }
    free(table->ready);
}

struct conflate_entry *conflate_table_find(const struct conflate_table *table, const char *article,
                                           size_t bytes)
{
    struct conflate_entry *entry = NULL;
    HASH_FIND(hh, table->by_article, article, bytes, entry);
    return entry;
}

struct conflate_entry *conflate_table_add(struct conflate_table *table, uint32_t shard,
                                          const char *article, size_t bytes)
{
    struct conflate_entry *entry = calloc(1, sizeof *entry + bytes);
    if (entry == NULL)
        return NULL;
    memcpy(entry->article, article, bytes);
    entry->bytes = (uint8_t)bytes;
    entry->shard = (uint8_t)shard;
    HASH_ADD_KEYPTR(hh, table->by_article, entry->article, bytes, entry);
    if (entry->unhashed) {
        free(entry);
        return NULL;
    }
    entry->place = QUIET;
    DL_APPEND(table->list[QUIET], entry);
    table->n++;
    return entry;
}

void conflate_table_remove(struct conflate_table *table, struct conflate_entry *entry)
{
    struct conflate_entry **list = list_of(table, entry->place, entry->shard);
    conflate_table_pass(table, entry);
    DL_DELETE(*list, entry);
    HASH_DEL(table->by_article, entry);
    table->n--;
    free(entry);
}

void conflate_table_move(struct conflate_table *table, struct conflate_entry *entry,
                         enum place place)
{
    struct conflate_entry **from = list_of(table, entry->place, entry->shard);
    struct conflate_entry **to = list_of(table, place, entry->shard);
    conflate_table_pass(table, entry);
    DL_DELETE(*from, entry);
    entry->place = (uint8_t)place;
    if (place == READY)
        entry->due = ++table->due;
    DL_APPEND(*to, entry);
}

void conflate_table_move_first(struct conflate_table *table, struct conflate_entry *entry)
{
    struct conflate_entry **from = list_of(table, entry->place, entry->shard);
    conflate_table_pass(table, entry);
    DL_DELETE(*from, entry);
    entry->place = READY;
    entry->due = 0;
    DL_PREPEND(table->ready[entry->shard], entry);
}

bool conflate_table_longest_ready(const struct conflate_table *table, uint64_t busy,
                                  uint32_t *shard)
{
    const struct conflate_entry *first = NULL;
    for (uint32_t i = 0; i < table->shards; i++) {
        const struct conflate_entry *entry = table->ready[i];
        if (entry == NULL || (busy & UINT64_C(1) << i) != 0 ||
            (first != NULL && first->due <= entry->due))
            continue;
        first = entry;
        *shard = i;
    }
    return first != NULL;
}

void conflate_table_pass(struct conflate_table *table, const struct conflate_entry *entry)
{
    if (table->resync_next == entry)
        table->resync_next = entry == table->list[QUIET] ? NULL : entry->prev;
}
