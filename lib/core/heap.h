/* A binary heap that finds the node due first. Nodes are embedded in their owners, and nodes that
 * are not due cost nothing. Adding and removing take logarithmic time. Pure; one thread. */
#ifndef TALLY_CORE_HEAP_H
#define TALLY_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: in no heap. */
struct heap_node {
    uint64_t due; /* a time in the owner's unit; must not change while the node is in the heap */
    size_t place; /* in the heap, from 1; 0: in no heap */
};

/* The struct that embeds a node. */
#define HEAP_OWNER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* Zeroed: empty, holding no memory. The nodes belong to their owners. */
struct heap {
    struct heap_node **node; /* the one due first is node[0] */
    size_t n, room;
};

void heap_fini(struct heap *heap);

/* Makes room for `n` nodes in total, so that adding cannot fail up to that number. Returns false
 * when out of memory. */
bool heap_reserve(struct heap *heap, size_t n);

/* Adds a node that is in no heap. Returns false when out of memory; the node is then in no heap. */
bool heap_add(struct heap *heap, struct heap_node *node);

/* Removes a node. Does nothing if the node is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node due first, or NULL. */
struct heap_node *heap_first(const struct heap *heap);

#endif
