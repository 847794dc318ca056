/* A hash table of articles, in the order in which they were added. */
#include "table.h"

#include "core/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct row {
    struct table_entry entry; /* first member: a pointer to it is also one to the row */
    UT_hash_handle hh;
    char text[];
};

struct table {
    struct row *rows, *last;
};

struct table *table_new(void)
{
    return calloc(1, sizeof(struct table));
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    struct row *next = table->rows, *one;
    HASH_CLEAR(hh, table->rows);
    while ((one = next) != NULL) {
        next = one->hh.next;
        free(one);
    }
    free(table);
}

size_t table_size(const struct table *table)
{
    return HASH_COUNT(table->rows);
}

static struct row *table_find(const struct table *table, const char *article, size_t bytes)
{
    struct row *row;
    HASH_FIND(hh, table->rows, article, bytes, row);
    return row;
}

static struct row *table_make(struct table *table, const char *article, size_t bytes)
{
    struct row *row =
        table_size(table) < TABLE_ARTICLES_MAX ? calloc(1, sizeof *row + bytes + 1) : NULL;
    if (row == NULL)
        return NULL;
    memcpy(row->text, article, bytes);
    row->entry.article = row->text;
    row->entry.bytes = bytes;
    HASH_ADD_KEYPTR(hh, table->rows, row->text, bytes, row);
    table->last = row;
    return row;
}

int table_add(struct table *table, const char *article, size_t bytes)
{
    if (table_find(table, article, bytes) != NULL)
        return 0;
    return table_make(table, article, bytes) == NULL ? -1 : 1;
}

const struct table_entry *table_last(const struct table *table)
{
    return table->last == NULL ? NULL : &table->last->entry;
}

int table_add_line(struct table *table, const struct rows_line *line, uint64_t number,
                   struct error *error)
{
    const uint32_t kinds = line->whole ? UINT32_MAX : 1u << line->kind;
    struct row *row = table_find(table, line->article, line->article_bytes);
    if (row == NULL)
        row = table_make(table, line->article, line->article_bytes);
    if (row == NULL)
        return error_set(error, "more than %d articles, or no memory", TABLE_ARTICLES_MAX);
    struct table_entry *entry = &row->entry;
    if ((entry->kinds & kinds) != 0)
        return error_set(error, "%s: line %" PRIu64 " says that already", entry->article,
                         entry->line);
    int64_t sum = 0;
    entry->line = number;
    entry->kinds |= kinds;
    entry->registers |= line->registers;
    for (int id = 1; id <= KIND_MAX; id++) {
        entry->count[id] += line->count[id];
        sum += entry->count[id];
        if (sum > ROWS_COUNT_MAX)
            return error_set(error, "%s: its counts are over %" PRId64 " together", entry->article,
                             (int64_t)ROWS_COUNT_MAX);
    }
    return 0;
}

const struct table_entry *table_next(const struct table *table, const struct table_entry *entry)
{
    const struct row *row = entry == NULL ? table->rows : ((const struct row *)entry)->hh.next;
    return row == NULL ? NULL : &row->entry;
}
