/* The articles with the highest totals of all that pass by, each once, in bounded memory. Pure; one
 * thread. */
#ifndef TALLY_CLI_HIGHEST_H
#define TALLY_CLI_HIGHEST_H

#include "core/article.h"
#include "core/kind.h"

#include <stddef.h>
#include <stdint.h>

struct highest;

struct highest_row {
    int64_t total;
    uint64_t version;
    int64_t count[KIND_MAX + 1]; /* by kind id */
    char article[ARTICLE_MAX_BYTES + 1];
};

/* Keeps `n` articles, at least 1. NULL when out of memory. */
struct highest *highest_new(size_t n);
void highest_free(struct highest *highest);

/* Looks at an article. The same article may come again: its newest version counts. */
void highest_take(struct highest *highest, const struct highest_row *row);

size_t highest_size(const struct highest *highest);

/* Row i, from 0: the highest total first, and equal totals by name. Valid until the next take. */
const struct highest_row *highest_row(const struct highest *highest, size_t i);

#endif
