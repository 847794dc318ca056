/* Groups the records of a batch by article with a small hash table, and lays their votes out in the
 * order of the script. */
#include "batch.h"

#include "core/bytes.h"
#include "core/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define VOTE_BYTES 15

struct item {
    struct record record;
    uint8_t kind_id;
    int32_t next; /* of the same article; -1 */
};

struct group {
    int32_t first, last;
    int32_t next; /* in the same slot; -1 */
    uint32_t n;
};

struct batch {
    size_t max, passed, groups, slots; /* slots: a power of 2 */
    struct batch_range range;
    struct item *item;
    struct group *group;
    int32_t *slot;  /* the newest group of that hash; -1 */
    int32_t *order; /* the script's index → item */
    unsigned char *votes;
    size_t headroom;
    const char **argv;
    size_t *bytes;
};

struct batch *batch_new(size_t max_records, size_t headroom)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->max = max_records;
    batch->headroom = headroom;
    for (batch->slots = 16; batch->slots < max_records; batch->slots *= 2)
        ;
    batch->item = calloc(max_records, sizeof *batch->item);
    batch->group = calloc(max_records, sizeof *batch->group);
    batch->slot = calloc(batch->slots, sizeof *batch->slot);
    batch->order = calloc(max_records, sizeof *batch->order);
    batch->votes = calloc(max_records, VOTE_BYTES);
    batch->argv = calloc(headroom + 2 * max_records, sizeof *batch->argv);
    batch->bytes = calloc(headroom + 2 * max_records, sizeof *batch->bytes);
    if (batch->item == NULL || batch->group == NULL || batch->slot == NULL ||
        batch->order == NULL || batch->votes == NULL || batch->argv == NULL ||
        batch->bytes == NULL) {
        batch_free(batch);
        return NULL;
    }
    batch_begin(batch, (struct batch_point){0, 0});
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    free(batch->item);
    free(batch->group);
    free(batch->slot);
    free(batch->order);
    free(batch->votes);
    free(batch->argv);
    free(batch->bytes);
    free(batch);
}

void batch_begin(struct batch *batch, struct batch_point from)
{
    batch->passed = batch->groups = 0;
    batch->range = (struct batch_range){.from = from, .to = from};
    memset(batch->slot, 0xff, batch->slots * sizeof *batch->slot);
}

/* Redis's position after this record: it never moves back. */
static void extend_range(struct batch *batch, const struct record *record)
{
    struct batch_range *range = &batch->range;
    uint64_t end = record->position + record_bytes(record);
    if (batch_empty(batch))
        range->first = record->position;
    range->end = (struct batch_point){end, record->sequence + 1};
    if (record->sequence > range->to.sequence)
        range->lost += record->sequence - range->to.sequence;
    if (record->sequence >= range->to.sequence)
        range->to.sequence = record->sequence + 1;
    if (end > range->to.position)
        range->to.position = end;
}

static bool same_article(const struct record *a, const struct record *b)
{
    return a->article_bytes == b->article_bytes &&
           memcmp(a->article, b->article, a->article_bytes) == 0;
}

static int32_t find_group(const struct batch *batch, const struct record *record, size_t slot)
{
    int32_t g = batch->slot[slot];
    while (g >= 0 && !same_article(&batch->item[batch->group[g].first].record, record))
        g = batch->group[g].next;
    return g;
}

static void join_group(struct batch *batch, int32_t i)
{
    const struct record *record = &batch->item[i].record;
    size_t slot = crc32c(0, record->article, record->article_bytes) & (batch->slots - 1);
    int32_t g = find_group(batch, record, slot);
    if (g < 0) {
        g = (int32_t)batch->groups++;
        batch->group[g] = (struct group){.first = i, .last = i, .next = batch->slot[slot], .n = 1};
        batch->slot[slot] = g;
        return;
    }
    struct group *group = &batch->group[g];
    batch->item[group->last].next = i;
    group->last = i;
    group->n++;
}

bool batch_add(struct batch *batch, const struct record *record, uint8_t kind_id)
{
    if (batch->range.records + batch->passed == batch->max)
        return false;
    extend_range(batch, record);
    int32_t i = (int32_t)batch->range.records++;
    batch->item[i] = (struct item){.record = *record, .kind_id = kind_id, .next = -1};
    join_group(batch, i);
    return true;
}

bool batch_quarantine(struct batch *batch, const struct record *record)
{
    if (batch->range.records + batch->passed == batch->max)
        return false;
    extend_range(batch, record);
    batch->passed++;
    batch->range.quarantined += record->sequence >= batch->range.from.sequence;
    return true;
}

bool batch_empty(const struct batch *batch)
{
    return batch->range.records + batch->passed == 0;
}

const struct batch_range *batch_range(const struct batch *batch)
{
    return &batch->range;
}

/* The reader hash little-endian, then stamp × 16 + kind id in 7 bytes big-endian. */
static void write_vote(unsigned char *out, const struct item *item)
{
    uint64_t value = item->record.stamp << 4 | item->kind_id;
    bytes_put_u64(out, item->record.reader);
    for (int i = 0; i < 7; i++)
        out[8 + i] = (unsigned char)(value >> (8 * (6 - i)));
}

struct batch_arguments batch_finish(struct batch *batch)
{
    size_t index = 0, at = batch->headroom;
    for (size_t g = 0; g < batch->groups; g++) {
        const struct group *group = &batch->group[g];
        const struct record *first = &batch->item[group->first].record;
        batch->argv[at] = first->article;
        batch->bytes[at++] = first->article_bytes;
        batch->argv[at] = (const char *)batch->votes + index * VOTE_BYTES;
        batch->bytes[at++] = (size_t)group->n * VOTE_BYTES;
        for (int32_t i = group->first; i >= 0; i = batch->item[i].next) {
            write_vote(batch->votes + index * VOTE_BYTES, &batch->item[i]);
            batch->order[index++] = i;
        }
    }
    return (struct batch_arguments){(int)at, batch->argv, batch->bytes};
}

const struct record *batch_record(const struct batch *batch, size_t index)
{
    return index < batch->range.records ? &batch->item[batch->order[index]].record : NULL;
}

const struct record *batch_article(const struct batch *batch, size_t number)
{
    if (number < 1 || number > batch->groups)
        return NULL;
    return &batch->item[batch->group[number - 1].first].record;
}
