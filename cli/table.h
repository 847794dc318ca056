/* Articles of an export or an import, each once. Bounded. One thread. */
#ifndef TALLY_CLI_TABLE_H
#define TALLY_CLI_TABLE_H

#include "core/error.h"
#include "rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_ARTICLES_MAX 1000000 /* some 300 bytes each */

struct table;

struct table_entry {
    uint64_t line;               /* the last line about this article */
    bool registers;              /* as in rows_line */
    uint32_t kinds;              /* which were named, a bit each */
    int64_t count[KIND_MAX + 1]; /* by kind id */
    size_t bytes;
    const char *article;
};

/* NULL on no memory. */
struct table *table_new(void);
void table_free(struct table *table);
size_t table_size(const struct table *table);

/* Adds an article. 1: it is new; 0: it was there already; -1: the table is full, or no memory. */
int table_add(struct table *table, const char *article, size_t bytes);

/* The article added last; NULL if the table is empty. */
const struct table_entry *table_last(const struct table *table);

/* Adds a line's content. Returns 0, or -1 with a sentence: it was given already, the sum is too
 * large, or the table is full. */
int table_add_line(struct table *table, const struct rows_line *line, uint64_t number,
                   struct error *error);

/* All of them in the order of arrival: pass NULL for the first; returns NULL after the last. */
const struct table_entry *table_next(const struct table *table, const struct table_entry *entry);

#endif
