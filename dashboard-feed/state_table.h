/* The table of articles' states: entries by article, those to be published in the order in which
 * they became due, and a clock that says when a state opens or closes. It is bounded. It keeps
 * entries where they belong; states.c decides what is in them. Pure; one thread. */
#ifndef TALLY_FEED_STATE_TABLE_H
#define TALLY_FEED_STATE_TABLE_H

#include "core/article.h"
#include "core/article_state.h"
#include "core/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum state_request { REQUEST_NONE, REQUEST_STATE, REQUEST_AWAY };
enum state_due { DUE_NOT, DUE_CLOSED, DUE_OPEN }; /* what is closed goes out first */

struct state_entry {
    UT_hash_handle hh; /* the table's, as are the links */
    struct state_entry *due_prev, *due_next;
    struct heap_node next_ms;                        /* when `state` opens or closes */
    struct state_entry *request_prev, *request_next; /* while it waits to be taken */
    struct article_state state;                      /* Redis's, where `stored` */
    struct article_state *requested; /* while the request is one for a state; owned */
    struct article_state *held;      /* what the broker holds above `state`, until judged; owned */
    uint64_t holds;                  /* the version that the broker holds; 0 nothing (states.c) */
    uint32_t load;                   /* in which it was told of last */
    uint8_t bytes;
    uint8_t shard;   /* states.c */
    uint8_t request; /* an operator's, not stored yet */
    uint8_t due;     /* set by state_table_set_due only */
    bool stored;
    bool holds_open;
    bool taken;       /* a request is being stored … */
    bool new_request; /* … and there is a newer one */
    bool no_total;    /* the broker retains no total of it */
    bool unhashed;    /* uthash had no memory */
    char article[];
};

struct state_table {
    size_t max;                             /* articles */
    unsigned char seed[ARTICLE_SEED_BYTES]; /* random: article_hash */
    size_t articles;
    size_t due_articles;            /* of these, to be published */
    struct state_entry *by_article; /* HASH_ITER visits all, and may remove each */
    struct state_entry *due[DUE_OPEN + 1];
    struct heap times; /* by next_ms; has room for every entry */
};

/* `table` is zeroed except `max` and `seed`. Frees all entries. */
void state_table_fini(struct state_table *table);

struct state_entry *state_table_find(const struct state_table *table, const char *article,
                                     size_t bytes);

/* Adds an entry that is not there. NULL if there is no room, or no memory. */
struct state_entry *state_table_add(struct state_table *table, const char *article, size_t bytes);

/* Takes an entry that is on no list of requests out of the table, and frees it. */
void state_table_remove(struct state_table *table, struct state_entry *entry);

/* Appends it to a list of what is due, after taking it off any other. */
void state_table_set_due(struct state_table *table, struct state_entry *entry, enum state_due due);

/* The next to be published; NULL none. */
struct state_entry *state_table_first_due(const struct state_table *table);

/* Its state opens or closes next after `unix_ms`, if ever. */
void state_table_set_time(struct state_table *table, struct state_entry *entry, uint64_t unix_ms);

/* Whose state opens or closes first, at `next_ms.due`; NULL none. */
struct state_entry *state_table_first_time(const struct state_table *table);

#endif
