/* The articles whose totals grow fastest, in bounded memory, from the totals that pass by. The
 * table follows HOT_ENTRIES articles by Space-Saving (Metwally, Agrawal, El Abbadi: Efficient
 * Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005): an article that is not in
 * the full table takes the place of the least one, and inherits its weight as its possible error.
 * Weights decay exponentially, which keeps their order. Pure; one thread. */
#ifndef TALLY_CLI_HOT_H
#define TALLY_CLI_HOT_H

#include "core/article.h"
#include "core/kind.h"

#include <stddef.h>
#include <stdint.h>

#define HOT_ENTRIES 1000
#define HOT_HALF_LIFE_S 5.0

struct hot;

/* NULL when out of memory. */
struct hot *hot_new(void);
void hot_free(struct hot *hot);

/* A published total: its counts in the order of the kinds, at most KIND_MAX. Counts that rose since
 * the article's last total are reactions; those that fell are not. The first total of an article
 * counts as one. `article` has 1 to ARTICLE_MAX_BYTES bytes. */
void hot_take(struct hot *hot, const char *article, size_t bytes, const int64_t *counts, size_t n);

/* Time passes. */
void hot_pass(struct hot *hot, double seconds);

struct hot_row {
    const char *article; /* valid until the next call */
    double per_s;        /* reactions a second, at least; recent ones count most */
    int64_t total;
};

/* The hottest articles, hottest first; those with less than 0.05 a second are left out. Returns how
 * many of at most `n`. */
size_t hot_top(const struct hot *hot, struct hot_row *rows, size_t n);

#endif
