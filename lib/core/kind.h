/* A bounded table of kind names (INTERFACES.md 1). Index 0 is `none`, 1 to 15 are the names in
 * order. Pure; any thread. */
#ifndef TALLY_CORE_KIND_H
#define TALLY_CORE_KIND_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#define KIND_NONE 0
#define KIND_MAX 15
#define KIND_NAME_MAX_BYTES 16
#define KIND_UNKNOWN (-1)

struct kind_table {
    int n;                                            /* names in use, 0 to KIND_MAX */
    char name[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1]; /* [0] is "none"; NUL-terminated */
};

/* Whether the bytes have the form of a kind's name, `none` included. */
bool kind_name_valid(const char *name, size_t bytes);

/* An empty table, which knows only `none`. */
void kind_table_init(struct kind_table *table);

/* Appends a name. Returns its index, or KIND_UNKNOWN if the name is invalid, `none` or a repeat, or
 * if the table is full. */
int kind_table_add(struct kind_table *table, const char *name, size_t bytes);

/* Parses "like,dislike,love" into `table`. Returns 0, or -1 with a sentence in `error`. */
int kind_table_parse(struct kind_table *table, const char *list, struct error *error);

/* The index of a name (0 for `none`), or KIND_UNKNOWN. */
int kind_find(const struct kind_table *table, const char *name, size_t bytes);

#endif
