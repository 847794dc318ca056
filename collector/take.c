#include "take.h"

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

struct take {
    size_t max, n, passed, aside, groups, slots; /* slots: a power of 2 */
    struct take_point from, to, end;
    uint64_t lost, first;
    struct item *item;
    struct group *group;
    int32_t *slot;  /* the newest group of that hash; -1 */
    int32_t *order; /* the script's index → item */
    unsigned char *votes;
};

struct take *take_new(size_t max_records)
{
    struct take *take = calloc(1, sizeof *take);
    if (take == NULL)
        return NULL;
    take->max = max_records;
    for (take->slots = 16; take->slots < max_records; take->slots *= 2)
        ;
    take->item = calloc(max_records, sizeof *take->item);
    take->group = calloc(max_records, sizeof *take->group);
    take->slot = calloc(take->slots, sizeof *take->slot);
    take->order = calloc(max_records, sizeof *take->order);
    take->votes = calloc(max_records, VOTE_BYTES);
    if (take->item == NULL || take->group == NULL || take->slot == NULL || take->order == NULL ||
        take->votes == NULL) {
        take_free(take);
        return NULL;
    }
    take_begin(take, (struct take_point){0, 0});
    return take;
}

void take_free(struct take *take)
{
    if (take == NULL)
        return;
    free(take->item);
    free(take->group);
    free(take->slot);
    free(take->order);
    free(take->votes);
    free(take);
}

void take_begin(struct take *take, struct take_point from)
{
    take->n = take->passed = take->aside = take->groups = 0;
    take->from = take->to = from;
    take->end = (struct take_point){0, 0};
    take->lost = take->first = 0;
    memset(take->slot, 0xff, take->slots * sizeof *take->slot);
}

/* Redis's position after this record: it never moves back. */
static void move(struct take *take, const struct record *record)
{
    uint64_t end = record->position + record_bytes(record);
    if (take_empty(take))
        take->first = record->position;
    take->end = (struct take_point){end, record->sequence + 1};
    if (record->sequence > take->to.sequence)
        take->lost += record->sequence - take->to.sequence;
    if (record->sequence >= take->to.sequence)
        take->to.sequence = record->sequence + 1;
    if (end > take->to.position)
        take->to.position = end;
}

static bool same_article(const struct record *a, const struct record *b)
{
    return a->article_bytes == b->article_bytes &&
           memcmp(a->article, b->article, a->article_bytes) == 0;
}

static int32_t find_group(const struct take *take, const struct record *record, size_t slot)
{
    int32_t g = take->slot[slot];
    while (g >= 0 && !same_article(&take->item[take->group[g].first].record, record))
        g = take->group[g].next;
    return g;
}

static void join(struct take *take, int32_t i)
{
    const struct record *record = &take->item[i].record;
    size_t slot = crc32c(0, record->article, record->article_bytes) & (take->slots - 1);
    int32_t g = find_group(take, record, slot);
    if (g < 0) {
        g = (int32_t)take->groups++;
        take->group[g] = (struct group){.first = i, .last = i, .next = take->slot[slot], .n = 1};
        take->slot[slot] = g;
        return;
    }
    struct group *group = &take->group[g];
    take->item[group->last].next = i;
    group->last = i;
    group->n++;
}

bool take_add(struct take *take, const struct record *record, uint8_t kind_id)
{
    if (take->n + take->passed == take->max)
        return false;
    move(take, record);
    int32_t i = (int32_t)take->n++;
    take->item[i] = (struct item){.record = *record, .kind_id = kind_id, .next = -1};
    join(take, i);
    return true;
}

bool take_set_aside(struct take *take, const struct record *record)
{
    if (take->n + take->passed == take->max)
        return false;
    move(take, record);
    take->passed++;
    take->aside += record->sequence >= take->from.sequence;
    return true;
}

bool take_empty(const struct take *take)
{
    return take->n + take->passed == 0;
}

size_t take_records(const struct take *take)
{
    return take->n;
}

size_t take_aside(const struct take *take)
{
    return take->aside;
}

uint64_t take_lost(const struct take *take)
{
    return take->lost;
}

struct take_point take_from(const struct take *take)
{
    return take->from;
}

struct take_point take_to(const struct take *take)
{
    return take->to;
}

uint64_t take_first(const struct take *take)
{
    return take->first;
}

struct take_point take_end(const struct take *take)
{
    return take->end;
}

size_t take_articles(const struct take *take)
{
    return take->groups;
}

/* The reader hash little-endian, then stamp × 16 + kind id in 7 bytes big-endian. */
static void write_vote(unsigned char *out, const struct item *item)
{
    uint64_t value = item->record.stamp << 4 | item->kind_id;
    bytes_put_u64(out, item->record.reader);
    for (int i = 0; i < 7; i++)
        out[8 + i] = (unsigned char)(value >> (8 * (6 - i)));
}

void take_arguments(struct take *take, const char **argv, size_t *bytes, size_t at)
{
    size_t index = 0;
    for (size_t g = 0; g < take->groups; g++) {
        const struct group *group = &take->group[g];
        const struct record *first = &take->item[group->first].record;
        argv[at] = first->article;
        bytes[at++] = first->article_bytes;
        argv[at] = (const char *)take->votes + index * VOTE_BYTES;
        bytes[at++] = (size_t)group->n * VOTE_BYTES;
        for (int32_t i = group->first; i >= 0; i = take->item[i].next) {
            write_vote(take->votes + index * VOTE_BYTES, &take->item[i]);
            take->order[index++] = i;
        }
    }
}

const struct record *take_record(const struct take *take, size_t index)
{
    return index < take->n ? &take->item[take->order[index]].record : NULL;
}

const struct record *take_article(const struct take *take, size_t number)
{
    if (number < 1 || number > take->groups)
        return NULL;
    return &take->item[take->group[number - 1].first].record;
}
