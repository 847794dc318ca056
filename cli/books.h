/* The books of an edge: admitted = applied + in the spool + quarantined + lost, per ring and in
 * total. Pure; any thread. */
#ifndef TALLY_CLI_BOOKS_H
#define TALLY_CLI_BOOKS_H

#include "audit/audit_compare.h"
#include "spool/spool_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOKS_EDGES_MAX 64
#define BOOKS_NAME_BYTES 40
#define BOOKS_POSITION_BYTES 40

/* A ring's position as Redis keeps it (FORMATS.md 5.2). */
struct books_position {
    uint64_t position, sequence, quarantined, lost, edge;
};

/* Returns 0, or -1 if it is not a position. */
int books_read_position(struct books_position *out, const void *in, size_t bytes);

struct books_sum {
    uint64_t applied, waiting, quarantined, lost;
};

struct books_ring {
    char name[BOOKS_NAME_BYTES]; /* of its file */
    struct spool_view_ring ring;
    bool known; /* to Redis */
    struct books_position position;
    struct spool_view_rest rest;
    struct books_sum sum;
};

struct books_other {
    uint64_t edge;
    struct books_sum sum;
};

struct books {
    bool checked;
    uint64_t edge, admitted;
    size_t n;
    struct books_ring ring[SPOOL_VIEW_RINGS_MAX]; /* those whose files are here */
    struct books_sum gone;                        /* those of this edge with deleted files */
    struct books_sum sum;                         /* of this edge, in total */
    size_t others;
    struct books_other other[BOOKS_EDGES_MAX]; /* edges elsewhere, according to Redis */
};

void books_begin(struct books *books, uint64_t edge);

/* A ring that is here. Add its numbers in Redis afterwards, with books_add_position. */
void books_add_ring(struct books *books, const struct spool_view_ring *ring);

/* Redis's record of a ring, here or elsewhere; false if it is not a position. */
bool books_add_position(struct books *books, uint32_t shard, const char *ring_id, const void *value,
                        size_t bytes);

/* A field of a shard's books, `<edge>:<what>`. */
void books_add_field(struct books *books, const char *field, const char *value);

/* Adds up, once all rings have their `rest`. */
void books_close(struct books *books, uint64_t admitted);

/* Calls `fn` for each difference. `store` is the store's id. */
void books_compare(const struct books *books, uint64_t store,
                   void (*fn)(void *user, const char *subject, const char *what, int64_t expected,
                              int64_t found),
                   void *user);

#endif
