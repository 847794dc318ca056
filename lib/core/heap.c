/* An array of pointers to nodes; each node knows its place in it. */
#include "core/heap.h"

#include <stdlib.h>

#define ROOM_MIN 64

void heap_fini(struct heap *heap)
{
    free(heap->node);
    *heap = (struct heap){0};
}

static void heap_put(struct heap *heap, size_t i, struct heap_node *node)
{
    heap->node[i] = node;
    node->place = i + 1;
}

/* Puts the node at place i, or further up while its parent is due later. */
static void rise(struct heap *heap, size_t i, struct heap_node *node)
{
    while (i > 0 && heap->node[(i - 1) / 2]->due > node->due) {
        heap_put(heap, i, heap->node[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(heap, i, node);
}

/* Puts the node at place i, or further down while a child is due earlier. */
static void sink(struct heap *heap, size_t i, struct heap_node *node)
{
    for (size_t below = 2 * i + 1; below < heap->n; below = 2 * i + 1) {
        if (below + 1 < heap->n && heap->node[below + 1]->due < heap->node[below]->due)
            below++;
        if (heap->node[below]->due >= node->due)
            break;
        heap_put(heap, i, heap->node[below]);
        i = below;
    }
    heap_put(heap, i, node);
}

bool heap_reserve(struct heap *heap, size_t n)
{
    size_t room = heap->room == 0 ? ROOM_MIN : heap->room;
    if (n <= heap->room)
        return true;
    while (room < n)
        room *= 2;
    struct heap_node **node = realloc(heap->node, room * sizeof(struct heap_node *));
    if (node == NULL)
        return false;
    heap->node = node;
    heap->room = room;
    return true;
}

bool heap_add(struct heap *heap, struct heap_node *node)
{
    if (!heap_reserve(heap, heap->n + 1))
        return false;
    rise(heap, heap->n++, node);
    return true;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->place == 0)
        return;
    size_t i = node->place - 1;
    struct heap_node *last = heap->node[--heap->n];

    node->place = 0;
    if (last == node)
        return;
    if (i > 0 && heap->node[(i - 1) / 2]->due > last->due)
        rise(heap, i, last);
    else
        sink(heap, i, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->n == 0 ? NULL : heap->node[0];
}
