/* Sorted pointers to rows; a new row takes the place of the lowest one. */
#include "highest.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct highest {
    size_t n, max;
    struct highest_row *rows;   /* max + 1: one is free for the next article */
    struct highest_row **place; /* in order; place[n] is free */
};

struct highest *highest_new(size_t n)
{
    struct highest *highest = calloc(1, sizeof *highest);
    if (highest == NULL)
        return NULL;
    highest->max = n;
    highest->rows = calloc(n + 1, sizeof *highest->rows);
    highest->place = calloc(n + 1, sizeof(struct highest_row *));
    if (highest->rows == NULL || highest->place == NULL) {
        highest_free(highest);
        return NULL;
    }
    for (size_t i = 0; i <= n; i++)
        highest->place[i] = &highest->rows[i];
    return highest;
}

void highest_free(struct highest *highest)
{
    if (highest == NULL)
        return;
    free(highest->rows);
    free((void *)highest->place);
    free(highest);
}

static bool comes_before(const struct highest_row *a, const struct highest_row *b)
{
    return a->total != b->total ? a->total > b->total : strcmp(a->article, b->article) < 0;
}

/* Moves place[from] to place[to], before or behind it, and the places between by one. */
static void highest_move(struct highest *highest, size_t from, size_t to)
{
    struct highest_row **place = highest->place, *moved = place[from];
    if (from > to)
        memmove((void *)(place + to + 1), (void *)(place + to),
                (from - to) * sizeof(struct highest_row *));
    else
        memmove((void *)(place + from), (void *)(place + from + 1),
                (to - from) * sizeof(struct highest_row *));
    place[to] = moved;
}

/* The place of the first row that does not come before this one. */
static size_t highest_find(const struct highest *highest, const struct highest_row *row)
{
    size_t low = 0, high = highest->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(highest->place[middle], row))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void highest_take(struct highest *highest, const struct highest_row *row)
{
    for (size_t i = 0; i < highest->n; i++) {
        const struct highest_row *same = highest->place[i];
        if (same->article[0] != row->article[0] || strcmp(same->article, row->article) != 0)
            continue;
        if (same->version >= row->version)
            return;
        highest_move(highest, i, --highest->n); /* its place is free */
        break;
    }
    size_t at = highest_find(highest, row);
    if (at == highest->max)
        return;
    *highest->place[highest->n] = *row;
    highest_move(highest, highest->n, at);
    if (highest->n < highest->max)
        highest->n++;
}

size_t highest_size(const struct highest *highest)
{
    return highest->n;
}

const struct highest_row *highest_row(const struct highest *highest, size_t i)
{
    return highest->place[i];
}
