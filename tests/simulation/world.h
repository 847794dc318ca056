/* What all parts of a simulated schedule share: how large the world is, its time, its dice, and the
 * first thing that was found wrong. One schedule at a time; one thread. */
#ifndef TALLY_SIMULATION_WORLD_H
#define TALLY_SIMULATION_WORLD_H

#include "dice.h"

#include "core/kind.h"
#include "core/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_EDGES 3
#define WORLD_EDGES_DRAWN 2 /* more only where world_edges says so */
#define WORLD_SHARDS 2
#define WORLD_SERVERS 6
#define WORLD_ARTICLES 4
#define WORLD_READERS 4
#define WORLD_KINDS 3
#define WORLD_NAME_BYTES 208
#define WORLD_WHY_BYTES 320
#define WORLD_START_UNIX_MS 1795510800000ull

struct world {
    uint64_t seed;
    unsigned requests; /* `none` and kinds that are clicked */
    unsigned edges, shards, articles, readers, batch_records, in_flight;
    bool cluster;         /* Redis is one … */
    unsigned seed_server; /* … and this the one that programs are told of */
    bool replicas;        /* durability is `replicas` */
    bool accelerates;     /* its servers have the accelerator, and lose it with their scripts */
    uint64_t ring_bytes, max_articles, publish_rate, republish_rate, audit_per_minute;
    uint64_t us; /* since the beginning; every monotonic clock */
    int64_t edge_ahead_ms[WORLD_EDGES];
    int64_t server_ahead_ms[WORLD_SERVERS]; /* of Redis */
    unsigned server;                        /* that runs a command */
    struct dice dice; /* of the step that is under way: a step that is left out changes no other */
    uint64_t ids;     /* given so far */
    bool tells;       /* prints what happens */
    char wrong[WORLD_WHY_BYTES]; /* the first thing that was wrong, "" */

    struct reader_key key;
    struct kind_table kinds; /* all of them … */
    bool kinds_differ;       /* … which edges learn one by one, each in its own order */
    struct {
        unsigned order[WORLD_KINDS]; /* numbers in `kinds` */
        struct kind_table kinds;     /* that its broker knows: the first ones of `order` */
    } edge[WORLD_EDGES];
    struct {
        char name[WORLD_NAME_BYTES];
        size_t bytes;
        uint32_t shard;
    } article[WORLD_ARTICLES];
    uint64_t hash[WORLD_READERS][WORLD_ARTICLES];
};

extern struct world world;

/* Whether the world of this seed is a narrow one, where all meet all the time: two edges, one
 * shard, one article, one reader. */
bool world_is_narrow(uint64_t seed);

/* Begins another: sizes and names come out of the seed. */
void world_begin(uint64_t seed);

/* Whether worlds have one Redis, a cluster, or three of four a cluster: for the seeds that follow.
 */
enum world_redis { WORLD_REDIS_ANY, WORLD_REDIS_ONE, WORLD_REDIS_CLUSTER };
extern enum world_redis world_redis;

bool world_is_cluster(uint64_t seed);

/* How many edges a world has, for the seeds that follow; 0: one or two, as the seed draws. */
extern unsigned world_edges;

/* Whether edges learn the kinds one by one: in some clusters. */
bool world_kinds_differ(uint64_t seed);

/* The edge's broker is told of one more kind. False: it knows all. */
bool world_learn_kind(unsigned edge);

/* The number in world.kinds of a kind by its number at the edge. */
unsigned world_kind(unsigned edge, unsigned kind);

/* True time and what the clocks of an edge and of a server of Redis say. */
uint64_t world_true_us(void);
uint64_t world_edge_ms(unsigned edge);
uint64_t world_server_us(unsigned server);
uint64_t world_redis_us(void); /* of the server that runs a command */

/* An id that differs from all before in this schedule; never 0. */
uint64_t world_id(void);

/* The number of an article or (by article and hash) of a reader, or -1. */
int world_find_article(const char *name, size_t bytes);
int world_find_reader(int article, uint64_t hash);

/* Notes what is wrong, if it is the first. */
void world_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of the history, while it is told. */
void world_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
