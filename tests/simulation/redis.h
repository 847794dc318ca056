/* A model of Redis: what the store's keys hold, and the scripts register.lua, position.lua,
 * store.lua and fold.lua step by step (collector/). It loses its last commits when it is told to.
 * The scripts themselves are tested in a real Redis by tests/system/test_register_script.py. One
 * thread. */
#ifndef TALLY_SIMULATION_REDIS_H
#define TALLY_SIMULATION_REDIS_H

#include "world.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_REGISTERS 64
#define REDIS_RINGS 24
#define REDIS_COMMITS 8         /* the last ones, which it may lose … */
#define REDIS_LOSES_US 2500000u /* … unless they are older */

struct redis_head {
    bool exists;
    uint64_t version;
    uint32_t number, voters, split;
    uint8_t level;
    bool floored;
    uint64_t floor;
    uint32_t count[KIND_MAX + 1];
};

struct redis_register {
    uint32_t number, bucket;
    uint64_t reader, value; /* stamp × 16 + kind id */
};

struct redis_ring {
    uint64_t id, position, sequence, quarantined, lost, edge; /* id 0: none */
    uint64_t voted; /* not Redis's: how many reactions were applied on the way to the position */
};

struct redis_shard {
    struct redis_head head[WORLD_ARTICLES];
    int64_t base[WORLD_ARTICLES][KIND_MAX + 1];
    bool has_base[WORLD_ARTICLES];
    uint64_t changed[WORLD_ARTICLES]; /* score; 0 none */
    uint64_t version;
    uint64_t store;                             /* the id; 0: nothing was applied */
    uint64_t pause_from, pause_to, pause_whose; /* to 0: none */
    uint32_t articles;
    uint32_t registers;
    struct redis_register reg[REDIS_REGISTERS];
    struct redis_ring ring[REDIS_RINGS];
    uint32_t folds;
    uint64_t folded[REDIS_RINGS]; /* ids of the rings that were added to the books */
    int64_t applied[WORLD_EDGES], quarantined[WORLD_EDGES], lost[WORLD_EDGES]; /* books */
};

struct redis_store {
    uint64_t id; /* 0: none */
    unsigned shards, split, kinds;
    char key[17];
    char kind[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1];
};

struct redis_state {
    struct redis_store store;
    struct redis_shard shard[WORLD_SHARDS];
};

struct redis {
    struct redis_state now;
    struct redis_state before[REDIS_COMMITS]; /* the newest at commits % REDIS_COMMITS */
    uint64_t at_us[REDIS_COMMITS];
    uint64_t commits, kept; /* how many of `before` hold */
    bool up;
    unsigned runs; /* of the process: what INFO says */
    bool has_script;
    const char *shard_error[WORLD_SHARDS]; /* what its calls answer, NULL: they work */
    int poisoned[WORLD_SHARDS]; /* an article whose registers are of a wrong type, or -1 */
    bool was_poisoned[WORLD_SHARDS];
    uint64_t newest_version; /* ever given */
    bool went_back;          /* it has lost commits */
    bool wiped;              /* all of them */
};

extern struct redis redis;

/* A reply and all of its parts, of bounded size. */
#define REDIS_REPLY_NODES 96
#define REDIS_REPLY_TEXT 3072
struct redis_reply {
    redisReply node[REDIS_REPLY_NODES];
    redisReply *element[REDIS_REPLY_NODES];
    char text[REDIS_REPLY_TEXT];
    size_t nodes, elements, bytes;
};

/* A command: words of any bytes. */
struct redis_words {
    int n;
    const char *word[40];
    size_t bytes[40];
};

/* Empty; with `store` it holds a store whose buckets split at `split` voters. */
void redis_begin(bool store, unsigned split);

/* Runs one command and writes the reply. */
void redis_run(const struct redis_words *words, struct redis_reply *reply);

/* A head and a ring's position as they are stored (FORMATS.md 5). The head's bytes. */
#define REDIS_HEAD_BYTES (24 + 5 * KIND_MAX + 8)
#define REDIS_RING_BYTES 40
size_t redis_head_bytes(const struct redis_head *head, unsigned char out[REDIS_HEAD_BYTES]);
void redis_ring_bytes(const struct redis_ring *ring, unsigned char out[REDIS_RING_BYTES]);

/* Whether it is the question for a ring's position. */
bool redis_is_position(const struct redis_words *words);

/* A ring's position in Redis, or NULL. */
struct redis_ring *redis_find_ring(unsigned shard, uint64_t id);

bool redis_is_folded(unsigned shard, uint64_t id);

/* The kind id and stamp of a register, 0 where there is none. */
uint64_t redis_value(unsigned shard, unsigned article, uint64_t reader);

/* It restarts without its last `n` commits (as many as are known at most). Returns how many went.
 */
unsigned redis_lose(unsigned n);

/* The operator's: everything is gone (`at_once`: only the loaded scripts stay); or an article's
 * registers are folded into its base (`reset`: into nothing), and a floor keeps older votes from
 * counting. */
void redis_wipe(bool at_once);
void redis_archive(unsigned article, bool reset);

/* Whoever listens to tally:changed is told of a shard. */
extern void (*redis_on_changed)(unsigned shard);

/* The total of an article by base and head. */
void redis_total(unsigned article, int64_t count[KIND_MAX + 1], uint64_t *version);

#endif
