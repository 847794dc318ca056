/* Adds up what rings, positions and folded books say, in the order in which they are read. */
#include "books.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EDGE_DIGITS 16

int books_read_position(struct books_position *out, const void *in, size_t bytes)
{
    const unsigned char *at = in;
    if (bytes != BOOKS_POSITION_BYTES)
        return -1;
    out->position = bytes_get_u64(at);
    out->sequence = bytes_get_u64(at + 8);
    out->quarantined = bytes_get_u64(at + 16);
    out->lost = bytes_get_u64(at + 24);
    out->edge = bytes_get_u64(at + 32);
    return 0;
}

void books_begin(struct books *books, uint64_t edge)
{
    memset(books, 0, sizeof *books);
    books->edge = edge;
}

void books_add_ring(struct books *books, const struct spool_view_ring *ring)
{
    struct books_ring *one = &books->ring[books->n++];
    one->ring = *ring;
    if (ring->old)
        snprintf(one->name, sizeof one->name, "old-%" PRIu32 "-%016" PRIx64, ring->shard,
                 ring->name_id);
    else
        snprintf(one->name, sizeof one->name, "ring-%" PRIu32, ring->shard);
}

/* The sum for another edge's numbers; NULL if there are too many edges. */
static struct books_sum *sum_of(struct books *books, uint64_t edge)
{
    if (edge == books->edge)
        return &books->gone;
    for (size_t i = 0; i < books->others; i++)
        if (books->other[i].edge == edge)
            return &books->other[i].sum;
    if (books->others == BOOKS_EDGES_MAX)
        return NULL;
    books->other[books->others].edge = edge;
    return &books->other[books->others++].sum;
}

static void add_position(struct books_sum *sum, const struct books_position *position)
{
    sum->applied += position->sequence - position->quarantined - position->lost;
    sum->quarantined += position->quarantined;
    sum->lost += position->lost;
}

bool books_add_position(struct books *books, uint32_t shard, const char *ring_id, const void *value,
                        size_t bytes)
{
    struct books_position position;
    uint64_t id = strtoull(ring_id, NULL, 16);
    if (books_read_position(&position, value, bytes) != 0)
        return false;
    for (size_t i = 0; i < books->n; i++) {
        struct books_ring *ring = &books->ring[i];
        if (ring->ring.shard != shard || ring->ring.ring_id != id)
            continue;
        ring->known = true;
        ring->position = position;
        return true;
    }
    struct books_sum *sum = sum_of(books, position.edge);
    if (sum != NULL)
        add_position(sum, &position);
    return true;
}

void books_add_field(struct books *books, const char *field, const char *value)
{
    char *end;
    uint64_t edge = strtoull(field, &end, 16), number = strtoull(value, NULL, 10);
    struct books_sum *sum = end == field + EDGE_DIGITS && *end == ':' ? sum_of(books, edge) : NULL;
    if (sum == NULL)
        return;
    if (strcmp(end + 1, "applied") == 0)
        sum->applied += number;
    else if (strcmp(end + 1, "quarantined") == 0)
        sum->quarantined += number;
    else if (strcmp(end + 1, "lost") == 0)
        sum->lost += number;
}

static void add_sum(struct books_sum *to, const struct books_sum *sum)
{
    to->applied += sum->applied;
    to->waiting += sum->waiting;
    to->quarantined += sum->quarantined;
    to->lost += sum->lost;
}

void books_close(struct books *books, uint64_t admitted)
{
    books->admitted = admitted;
    books->sum = books->gone;
    for (size_t i = 0; i < books->n; i++) {
        struct books_ring *ring = &books->ring[i];
        ring->sum = (struct books_sum){.waiting = ring->rest.waiting};
        add_position(&ring->sum, &ring->position);
        add_sum(&books->sum, &ring->sum);
    }
    books->checked = true;
}

void books_compare(const struct books *books, uint64_t store,
                   void (*fn)(void *user, const char *subject, const char *what, int64_t expected,
                              int64_t found),
                   void *user)
{
    const struct books_sum *sum = &books->sum;
    uint64_t found = sum->applied + sum->waiting + sum->quarantined + sum->lost;
    if (found != books->admitted)
        fn(user, "edge", "admitted", (int64_t)books->admitted, (int64_t)found);
    for (size_t i = 0; i < books->n; i++) {
        const struct books_ring *ring = &books->ring[i];
        if (ring->ring.damaged)
            fn(user, ring->name, "damaged header", 0, 1);
        if (ring->ring.store_id != 0 && ring->ring.store_id != store)
            fn(user, ring->name, "of another store", 0, 1);
        if (ring->rest.beyond)
            fn(user, ring->name, "written", (int64_t)ring->position.position,
               (int64_t)ring->ring.write);
        else if (ring->rest.between && !ring->ring.damaged)
            fn(user, ring->name, "damaged records", 0, 1);
        if (ring->rest.missing > 0)
            fn(user, ring->name, "missing", 0, (int64_t)ring->rest.missing);
        /* If Redis applied more of an old ring than a power loss left, the ring is applied again.
         */
        if (!ring->ring.old && ring->ring.applied > ring->position.position)
            fn(user, ring->name, "applied up to", (int64_t)ring->position.position,
               (int64_t)ring->ring.applied);
    }
}
