/* A hash, two lists and a heap over the same entries. An entry that is added has its room in the
 * heap, too, so nothing later fails for memory. */
#define HASH_NONFATAL_OOM 1 /* before uthash.h, which the header includes */
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
/* Each function that hashes calls its table `table`. */
#define HASH_FUNCTION(key, bytes, out) ((out) = article_hash((key), (bytes), table->seed))
#include "state_table.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct state_entry *state_table_find(const struct state_table *table, const char *article,
                                     size_t bytes)
{
    struct state_entry *entry = NULL;
    if (table->by_article != NULL)
        HASH_FIND(hh, table->by_article, article, bytes, entry);
    return entry;
}

struct state_entry *state_table_add(struct state_table *table, const char *article, size_t bytes)
{
    struct state_entry *entry = NULL;
    if (table->articles < table->max && bytes <= ARTICLE_MAX_BYTES &&
        heap_reserve(&table->times, table->articles + 1))
        entry = calloc(1, sizeof *entry + bytes);
    if (entry == NULL)
        return NULL;
    memcpy(entry->article, article, bytes);
    entry->bytes = (uint8_t)bytes;
    HASH_ADD_KEYPTR(hh, table->by_article, entry->article, bytes, entry);
    if (entry->unhashed) {
        free(entry);
        return NULL;
    }
    table->articles++;
    return entry;
}

void state_table_set_due(struct state_table *table, struct state_entry *entry, enum state_due due)
{
    if (entry->due == due)
        return;
    if (entry->due != DUE_NOT) {
        DL_DELETE2(table->due[entry->due], entry, due_prev, due_next);
        table->due_articles--;
    }
    entry->due = (uint8_t)due;
    if (due != DUE_NOT) {
        DL_APPEND2(table->due[due], entry, due_prev, due_next);
        table->due_articles++;
    }
}

struct state_entry *state_table_first_due(const struct state_table *table)
{
    return table->due[DUE_CLOSED] != NULL ? table->due[DUE_CLOSED] : table->due[DUE_OPEN];
}

void state_table_set_time(struct state_table *table, struct state_entry *entry, uint64_t unix_ms)
{
    heap_remove(&table->times, &entry->next_ms);
    entry->next_ms.due =
        entry->stored ? article_state_next_change(&entry->state, unix_ms) : ARTICLE_STATE_NEVER;
    if (entry->next_ms.due != ARTICLE_STATE_NEVER)
        (void)heap_add(&table->times, &entry->next_ms);
}

struct state_entry *state_table_first_time(const struct state_table *table)
{
    struct heap_node *first = heap_first(&table->times);
    return first == NULL ? NULL : HEAP_OWNER(first, struct state_entry, next_ms);
}

void state_table_remove(struct state_table *table, struct state_entry *entry)
{
    heap_remove(&table->times, &entry->next_ms);
    state_table_set_due(table, entry, DUE_NOT);
    HASH_DEL(table->by_article, entry);
    table->articles--;
    free(entry->requested);
    free(entry->held);
    free(entry);
}

void state_table_fini(struct state_table *table)
{
    struct state_entry *entry, *following;
    HASH_ITER(hh, table->by_article, entry, following)
    {
        state_table_remove(table, entry);
    }
    heap_fini(&table->times);
}
