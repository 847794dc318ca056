/* Keeps the ranges of a shard sorted and apart. When there are too many, the closest two become
 * one. */
#include "cover.h"

#include <string.h>

void cover_init(struct cover *cover, uint32_t shards)
{
    memset(cover, 0, sizeof *cover);
    cover->shards = shards;
}

/* The two ranges that lie closest to each other become one. */
static void merge_closest(struct cover_shard *shard)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < shard->n; i++)
        if (shard->range[i + 1].low - shard->range[i].high <
            shard->range[best + 1].low - shard->range[best].high)
            best = i;
    shard->range[best].high = shard->range[best + 1].high;
    shard->n--;
    memmove(&shard->range[best + 1], &shard->range[best + 2],
            (shard->n - best - 1) * sizeof shard->range[0]);
}

void cover_follow(struct cover *cover, uint32_t shard, uint64_t low, uint64_t top)
{
    struct cover_shard *one = &cover->shard[shard];
    one->live = top;
    if (top <= low)
        return;
    /* Whatever reaches into (low, top] or touches it becomes part of it. */
    while (one->n > 0 && one->range[one->n - 1].high >= low) {
        struct cover_range *last = &one->range[one->n - 1];
        if (last->low < low)
            low = last->low;
        if (last->high > top)
            top = last->high;
        one->n--;
    }
    if (one->n == COVER_MAX_RANGES)
        merge_closest(one);
    one->range[one->n++] = (struct cover_range){.low = low, .high = top};
}

void cover_clear(struct cover *cover, uint32_t shard)
{
    cover->shard[shard].n = 0;
}

void cover_heard(struct cover *cover, uint32_t shard, uint64_t version)
{
    if (version > cover->shard[shard].live)
        cover->shard[shard].live = version;
}

bool cover_next(const struct cover *cover, uint64_t busy, uint32_t *shard,
                struct cover_range *range)
{
    bool found = false;
    for (uint32_t i = 0; i < cover->shards; i++) {
        const struct cover_shard *one = &cover->shard[i];
        if (one->n == 0 || (busy & UINT64_C(1) << i) != 0 ||
            (found && one->range[one->n - 1].high <= range->high))
            continue;
        *shard = i;
        *range = one->range[one->n - 1];
        found = true;
    }
    return found;
}

void cover_done(struct cover *cover, uint32_t shard, uint64_t down_to)
{
    struct cover_shard *one = &cover->shard[shard];
    if (one->n == 0)
        return;
    struct cover_range *last = &one->range[one->n - 1];
    if (down_to > 0 && down_to - 1 < last->high)
        last->high = down_to - 1;
    if (down_to == 0 || last->high <= last->low)
        one->n--;
}

uint64_t cover_covered(const struct cover *cover, uint32_t shard, uint64_t oldest_waiting)
{
    const struct cover_shard *one = &cover->shard[shard];
    uint64_t covered = one->live;
    if (oldest_waiting > 0 && oldest_waiting - 1 < covered)
        covered = oldest_waiting - 1;
    if (one->n > 0 && one->range[0].low < covered)
        covered = one->range[0].low;
    return covered;
}

uint32_t cover_open(const struct cover *cover)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < cover->shards; i++)
        open += cover->shard[i].n > 0;
    return open;
}
