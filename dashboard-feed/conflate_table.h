/* The table behind conflate: articles by name, and the lists that they are in. Only conflate.c
 * includes it. Pure; one thread.
 *
 * Every article is in exactly one of five places:
 *
 *   READY    due                        -> TAKEN by conflate_take
 *   TAKEN    being fetched              -> COOLING when published
 *   COOLING  published within interval, or found stale  -> READY where it changed meanwhile or is
 *            stale, else SETTLING or QUIET
 *   SETTLING waits for its repeat       -> READY
 *   QUIET    nothing to do; the first to be forgotten
 *
 * COOLING and SETTLING are in order of the time of publication, as their delays are the same for
 * all: the head is due first, and no heap is needed. READY is a list a shard, so that a shard whose
 * server does not answer holds up no other. What became due first comes first, and `due` tells
 * which shard's head did. */
#ifndef TALLY_FEED_CONFLATE_TABLE_H
#define TALLY_FEED_CONFLATE_TABLE_H

#include "core/article.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
#include <uthash.h>
#include <utlist.h>

enum place { READY, TAKEN, COOLING, SETTLING, QUIET, PLACES };

struct conflate_entry {
    UT_hash_handle hh;
    struct conflate_entry *prev, *next;           /* of its place's list */
    struct conflate_entry *wait_prev, *wait_next; /* of its shard's waiting list */
    uint64_t due;                                 /* (READY) when it became so; 0: before all */
    uint64_t since;                               /* oldest change score heard of, not published */
    uint64_t noted;                               /* newest change score heard of */
    uint64_t noted_when_taken; /* a later change may not be in the fetched total */
    uint64_t published;        /* highest version that went out; 0 none */
    uint64_t published_at_ms;
    uint32_t generation; /* of the broker it was published to */
    uint32_t batch;      /* (TAKEN) it was handed out with */
    uint32_t compared;   /* the last resync of its shard in which it was compared */
    uint8_t shard;
    uint8_t place;
    uint8_t bytes;
    bool waiting;  /* changed and not yet published */
    bool repeat;   /* must be repeated, or (READY, TAKEN) is due only for that */
    bool again;    /* (COOLING) must be repeated or compared, and is not late */
    bool resync;   /* must be compared */
    bool stale;    /* was found lower in Redis */
    bool gone;     /* the last publication said that it is forgotten */
    bool unhashed; /* uthash had no memory */
    char article[];
};

struct conflate_table {
    unsigned char seed[ARTICLE_SEED_BYTES];
    uint32_t shards;
    size_t n;
    uint64_t due; /* the last one */
    struct conflate_entry *by_article;
    struct conflate_entry **ready;       /* by shard */
    struct conflate_entry *list[PLACES]; /* but READY */
    struct conflate_entry *resync_next;  /* (QUIET) the next to be looked at; NULL none */
};

/* 0, or -1 on no memory; call conflate_table_fini in both cases. */
int conflate_table_init(struct conflate_table *table, uint32_t shards, const unsigned char *seed);
void conflate_table_fini(struct conflate_table *table);

/* NULL: it is not there. */
struct conflate_entry *conflate_table_find(const struct conflate_table *table, const char *article,
                                           size_t bytes);

/* A new one, QUIET; NULL on no memory. */
struct conflate_entry *conflate_table_add(struct conflate_table *table, uint32_t shard,
                                          const char *article, size_t bytes);

/* Takes it out and frees it. It does not wait. */
void conflate_table_remove(struct conflate_table *table, struct conflate_entry *entry);

/* To the end of a place's list. */
void conflate_table_move(struct conflate_table *table, struct conflate_entry *entry,
                         enum place place);

/* READY, before all others of its shard. */
void conflate_table_move_first(struct conflate_table *table, struct conflate_entry *entry);

/* The shard whose first READY article has been so for longest, of those whose bit in `busy` is not
 * set. False: none is READY. */
bool conflate_table_longest_ready(const struct conflate_table *table, uint64_t busy,
                                  uint32_t *shard);

/* Passes on to the next one towards the head of QUIET, if `entry` is the next to be looked at. */
void conflate_table_pass(struct conflate_table *table, const struct conflate_entry *entry);

#endif
