/* Which of many is due first: a binary heap of nodes that lie in what they are of, so that nothing
 * is done for those that are not due. Adding and taking out take logarithmic time. Pure; one
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_EXPIRY_H
#define TALLY_BROKER_PLUGIN_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry {
    uint64_t due_s; /* since 1970; not to be changed while it is in the heap */
    size_t place;   /* in the heap, from 1 on; 0: it is in none */
};

/* Zeroed: empty, and needs no memory. The nodes are the owners'. */
struct expiry_heap {
    struct expiry **node; /* the one due first is node[0] */
    size_t n, room;
};

void expiry_heap_fini(struct expiry_heap *heap);

/* Adds one that is in no heap. False for no memory: then it is in none. */
bool expiry_add(struct expiry_heap *heap, struct expiry *expiry);

/* Takes one out; one that is in none is fine. */
void expiry_remove(struct expiry_heap *heap, struct expiry *expiry);

/* The one due first, or NULL. */
struct expiry *expiry_first(const struct expiry_heap *heap);

#endif
