/* One pass over two arrays finds an article or the least weight: some microseconds a total. */
#include "hot.h"

#include "core/fnv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SHOWN 0.05

struct hot_entry {
    double error; /* inherited: the weight may be too high by this */
    int64_t total;
    int64_t count[KIND_MAX];
    size_t bytes;
    char article[ARTICLE_MAX_BYTES + 1];
};

struct hot {
    size_t n;
    uint64_t hash[HOT_ENTRIES];
    double weight[HOT_ENTRIES];
    struct hot_entry entry[HOT_ENTRIES];
};

struct hot *hot_new(void)
{
    return calloc(1, sizeof(struct hot));
}

void hot_free(struct hot *hot)
{
    free(hot);
}

/* Returns the article's place, or hot->n; *least is the place of the least weight. */
static size_t hot_find(const struct hot *hot, uint64_t hash, const char *article, size_t bytes,
                       size_t *least)
{
    *least = 0;
    for (size_t i = 0; i < hot->n; i++) {
        if (hot->hash[i] == hash && hot->entry[i].bytes == bytes &&
            memcmp(hot->entry[i].article, article, bytes) == 0)
            return i;
        if (hot->weight[i] < hot->weight[*least])
            *least = i;
    }
    return hot->n;
}

/* The reactions between the entry's counts and these. */
static int64_t hot_grown(const struct hot_entry *entry, const int64_t *counts, size_t n)
{
    int64_t grown = 0;
    for (size_t i = 0; i < n; i++)
        if (counts[i] > entry->count[i])
            grown += counts[i] - entry->count[i];
    return grown;
}

void hot_take(struct hot *hot, const char *article, size_t bytes, const int64_t *counts, size_t n)
{
    if (bytes > ARTICLE_MAX_BYTES)
        return;
    const uint64_t hash = fnv_add(FNV_START, article, bytes);
    size_t least, at = hot_find(hot, hash, article, bytes, &least);
    n = n < KIND_MAX ? n : KIND_MAX;
    if (at < hot->n) {
        hot->weight[at] += (double)hot_grown(&hot->entry[at], counts, n);
    } else {
        at = hot->n < HOT_ENTRIES ? hot->n++ : least;
        struct hot_entry *entry = &hot->entry[at];
        entry->error = hot->weight[at]; /* 0 of a place that was free */
        hot->weight[at] += 1;
        hot->hash[at] = hash;
        memset(entry->count, 0, sizeof entry->count);
        memcpy(entry->article, article, bytes);
        entry->article[bytes] = '\0';
        entry->bytes = bytes;
    }
    hot->entry[at].total = 0;
    for (size_t i = 0; i < n; i++) {
        hot->entry[at].count[i] = counts[i];
        hot->entry[at].total += counts[i];
    }
}

void hot_pass(struct hot *hot, double seconds)
{
    const double factor = exp2(-seconds / HOT_HALF_LIFE_S);
    for (size_t i = 0; i < hot->n; i++) {
        hot->weight[i] *= factor;
        hot->entry[i].error *= factor;
    }
}

/* A steady rate r keeps the weight at r × half-life / ln 2. */
static double hot_rate(const struct hot *hot, size_t at)
{
    return (hot->weight[at] - hot->entry[at].error) * M_LN2 / HOT_HALF_LIFE_S;
}

size_t hot_top(const struct hot *hot, struct hot_row *rows, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < hot->n; i++) {
        const struct hot_row row = {hot->entry[i].article, hot_rate(hot, i), hot->entry[i].total};
        size_t at = found;
        if (row.per_s < LEAST_SHOWN)
            continue;
        while (at > 0 && rows[at - 1].per_s < row.per_s)
            at--;
        if (at == n)
            continue;
        found = found < n ? found + 1 : n;
        memmove(rows + at + 1, rows + at, (found - at - 1) * sizeof *rows);
        rows[at] = row;
    }
    return found;
}
