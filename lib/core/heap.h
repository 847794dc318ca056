/* Which of many is due first: a binary heap of nodes that lie in what they are of, so that nothing
 * is done for those that are not due. Adding and taking out take logarithmic time. Pure; one
 * thread. */
#ifndef TALLY_CORE_HEAP_H
#define TALLY_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no heap. */
struct heap_node {
    uint64_t due; /* a time in the owner's unit; not to be changed while it is in the heap */
    size_t place; /* in the heap, from 1 on; 0: it is in none */
};

/* What a node lies in. */
#define HEAP_OWNER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Zeroed: empty, and needs no memory. The nodes are the owners'. */
struct heap {
    struct heap_node **node; /* the one due first is node[0] */
    size_t n, room;
};

void heap_fini(struct heap *heap);

/* Makes room for `n` nodes in all, so that adding cannot fail up to then. False for no memory. */
bool heap_reserve(struct heap *heap, size_t n);

/* Adds one that is in no heap. False for no memory: then it is in none. */
bool heap_add(struct heap *heap, struct heap_node *node);

/* Takes one out; one that is in none is fine. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The one due first, or NULL. */
struct heap_node *heap_first(const struct heap *heap);

#endif
