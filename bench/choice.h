/* Which reaction comes next: which article, which kind, whose. The same seed gives the same
 * reactions to a connection, whatever the others do. Pure: no clock, no I/O. */
#ifndef TALLY_BENCH_CHOICE_H
#define TALLY_BENCH_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#define CHOICE_KINDS 7 /* kinds 1 to 7 in the order of the plugin's default; 0 is none */
#define CHOICE_PAST                                                                                \
    32 /* a change or a retraction affects one of this many reactions of its connection */

struct choice_config {
    uint32_t articles;    /* 1 to 1,000,000 */
    bool zipf;            /* article i with weight 1 / (i + 1); else all alike */
    unsigned kinds;       /* 2 to CHOICE_KINDS: the first so many are chosen */
    unsigned changes;     /* percent that choose another kind for an earlier reaction */
    unsigned retractions; /* percent that take an earlier one back; both together at most 100 */
    uint64_t readers;     /* readers are numbered 0 to readers - 1, then again; 0: without end */
};

struct choice_reaction {
    uint32_t article; /* from 0 */
    uint8_t kind;     /* 0 to CHOICE_KINDS */
    int before;       /* the kind that it changes; -1: it is a first one */
    uint64_t reader;  /* a new number unless it is a change; used where readers are named */
};

/* What a connection remembers of its reactions. */
struct choice_memory {
    uint64_t random;
    unsigned turn, n;
    struct choice_reaction past[CHOICE_PAST];
};

struct choice;

/* NULL if there is no memory. */
struct choice *choice_new(const struct choice_config *config);
void choice_free(struct choice *choice);

/* `number`: the connection's. */
void choice_begin(struct choice_memory *memory, uint64_t seed, uint32_t number);

/* The connection's next reaction. A first one of an article's has its kinds in turn, so that a
 * connection's two in a row for one article differ. */
struct choice_reaction choice_next(struct choice *choice, struct choice_memory *memory);

/* The name of a kind, 0 to CHOICE_KINDS. */
const char *choice_kind(uint8_t kind);

#endif
