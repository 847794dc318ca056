#include "expiry.h"

#include <stdlib.h>

#define ROOM_MIN 64

void expiry_heap_fini(struct expiry_heap *heap)
{
    free(heap->node);
    *heap = (struct expiry_heap){0};
}

static void put(struct expiry_heap *heap, size_t i, struct expiry *expiry)
{
    heap->node[i] = expiry;
    expiry->place = i + 1;
}

/* Puts it at place i or, while who stands above is due later, further up. */
static void rise(struct expiry_heap *heap, size_t i, struct expiry *expiry)
{
    while (i > 0 && heap->node[(i - 1) / 2]->due_s > expiry->due_s) {
        put(heap, i, heap->node[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(heap, i, expiry);
}

/* Puts it at place i or, while one of the two below is due earlier, further down. */
static void sink(struct expiry_heap *heap, size_t i, struct expiry *expiry)
{
    for (size_t below = 2 * i + 1; below < heap->n; below = 2 * i + 1) {
        if (below + 1 < heap->n && heap->node[below + 1]->due_s < heap->node[below]->due_s)
            below++;
        if (heap->node[below]->due_s >= expiry->due_s)
            break;
        put(heap, i, heap->node[below]);
        i = below;
    }
    put(heap, i, expiry);
}

bool expiry_add(struct expiry_heap *heap, struct expiry *expiry)
{
    if (heap->n == heap->room) {
        size_t room = heap->room == 0 ? ROOM_MIN : 2 * heap->room;
        struct expiry **node = realloc(heap->node, room * sizeof(struct expiry *));
        if (node == NULL)
            return false;
        heap->node = node;
        heap->room = room;
    }
    rise(heap, heap->n++, expiry);
    return true;
}

void expiry_remove(struct expiry_heap *heap, struct expiry *expiry)
{
    if (expiry->place == 0)
        return;
    size_t i = expiry->place - 1;
    struct expiry *last = heap->node[--heap->n];

    expiry->place = 0;
    if (last == expiry)
        return;
    if (i > 0 && heap->node[(i - 1) / 2]->due_s > last->due_s)
        rise(heap, i, last);
    else
        sink(heap, i, last);
}

struct expiry *expiry_first(const struct expiry_heap *heap)
{
    return heap->n == 0 ? NULL : heap->node[0];
}
