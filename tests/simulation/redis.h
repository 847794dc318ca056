/* A model of Redis: what the store's keys hold, on one server or on the nodes of a cluster. A
 * cluster has three masters with a replica each. A part (a shard, or the store itself) is on one of
 * the masters, and cluster.h moves it. A server loses its last commits when it is told to; a
 * cluster's parts thus go back one by one. The scripts run step by step (redis_command.h). They
 * themselves are tested in a real Redis by tests/system/test_register_script.py. One thread. */
#ifndef TALLY_SIMULATION_REDIS_H
#define TALLY_SIMULATION_REDIS_H

#include "world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_REGISTERS 64
#define REDIS_RINGS (12 * WORLD_EDGES)
#define REDIS_COMMITS 8         /* the last ones of a server, which it may lose … */
#define REDIS_LOSES_US 2500000u /* … unless they are older */
#define REDIS_PAIRS 3           /* of master and replica: servers n and n + REDIS_PAIRS */
#define REDIS_SERVERS (2 * REDIS_PAIRS)
#define REDIS_PARTS (WORLD_SHARDS + 1)
#define REDIS_OF_STORE WORLD_SHARDS /* the part that is tally:store; the others are the shards */

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
    uint64_t id;                   /* 0: none */
    unsigned shards, split, kinds; /* kinds: the highest id that was given */
    uint64_t placed;               /* a bit for each shard that is known to name it */
    char key[17];
    char kind[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1];
};

struct redis_state {
    struct redis_store store;
    struct redis_shard shard[WORLD_SHARDS];
};

/* What a part held before a commit. */
struct redis_commit {
    uint64_t at_us;
    unsigned part;
    union {
        struct redis_store store;
        struct redis_shard shard;
    } before;
};

struct redis_server {
    bool up;                     /* the process runs … */
    bool hung;                   /* … but does nothing: its connections stay */
    bool apart;                  /* with a minority: it hears nothing of the others */
    bool stops;                  /* apart for so long that it serves nothing */
    bool master;                 /* as it believes; of a single Redis always */
    bool alone;                  /* its replica gets nothing */
    bool has_register, has_read; /* the scripts that EVALSHA runs */
    bool has_accelerator;        /* the command that does what register.lua does */
    unsigned runs;               /* of the process: what INFO says */
    unsigned history;            /* of its data: another one from each new master on */
    uint64_t epoch;              /* of the table that it knows … */
    uint8_t owner[REDIS_PARTS];  /* … : the servers of the parts */
    struct redis_state now;
    struct redis_commit commit[REDIS_COMMITS]; /* the newest before commits % REDIS_COMMITS */
    uint64_t commits, kept;                    /* how many of `commit` hold */
    uint64_t replicated;                       /* commits that its replica has */
};

struct redis {
    bool cluster;
    struct redis_server server[REDIS_SERVERS];
    struct redis_server *here; /* that runs a command, or NULL */
    uint64_t epoch;            /* of the truth, where all agree … */
    uint8_t owner[REDIS_PARTS];
    unsigned histories; /* given so far */
    unsigned master[REDIS_PAIRS];
    bool cut[WORLD_EDGES][REDIS_SERVERS];  /* the edge does not reach the server: nothing arrives */
    int moves_to[REDIS_PARTS];             /* where its slot is on its way to, or -1 */
    int moved_article[WORLD_SHARDS];       /* whose registers went ahead, or -1 */
    bool moved_heads[WORLD_SHARDS];        /* the heads went ahead: no batch can be run */
    const char *shard_error[WORLD_SHARDS]; /* what its calls answer, NULL: they work */
    int poisoned[WORLD_SHARDS]; /* an article whose registers are of a wrong type, or -1 */
    bool was_poisoned[WORLD_SHARDS];
    bool emptied[WORLD_SHARDS]; /* its data is gone, and it is nobody's until it is adopted */
    uint64_t newest_version;    /* ever given */
    bool went_back;             /* a server has lost commits … */
    bool followed;              /* … or was followed by one that has not got all of them */
    bool wiped;                 /* all of them */
};

extern struct redis redis;

/* A command: words of any bytes. */
struct redis_words {
    int n;
    const char *word[40];
    size_t bytes[40];
};

/* Empty; with `store` it holds a store whose buckets split at `split` voters. */
void redis_begin(bool store, unsigned split);

/* As the server has it that runs a command; where none does, as its owner has it. */
struct redis_shard *redis_shard(unsigned shard);
struct redis_store *redis_store(void);

/* Before the part changes on the server that runs a command, or on its owner. */
void redis_commit(unsigned part);

/* Takes a commit back out of what a server holds; undoes the server's last one. */
void redis_restore(struct redis_state *state, const struct redis_commit *commit);
void redis_undo(struct redis_server *server);

/* A head and a ring's position as they are stored (FORMATS.md 5). The head's bytes. */
#define REDIS_HEAD_BYTES (24 + 5 * KIND_MAX + 8)
#define REDIS_RING_BYTES 40
size_t redis_head_bytes(const struct redis_head *head, unsigned char out[REDIS_HEAD_BYTES]);
void redis_ring_bytes(const struct redis_ring *ring, unsigned char out[REDIS_RING_BYTES]);

/* A ring's position in Redis, or NULL. */
struct redis_ring *redis_find_ring(unsigned shard, uint64_t id);

bool redis_is_folded(unsigned shard, uint64_t id);

/* The kind id and stamp of a register, 0 if there is none. */
uint64_t redis_value(unsigned shard, unsigned article, uint64_t reader);

/* The ring's position as a replica of the shard's owner has it; 0: it has none. */
uint64_t redis_replicated(unsigned shard, uint64_t ring_id);

/* The server restarts without its last `n` commits (as many as are known at most). Returns how many
 * went. */
unsigned redis_lose(struct redis_server *server, unsigned n);

/* The server no longer knows what EVALSHA names. */
void redis_forget_scripts(struct redis_server *server);

/* All that the server has is gone (`at_once`: only the loaded scripts stay). */
void redis_wipe(struct redis_server *server, bool at_once);

/* The operator's: an article's registers are folded into its base (`reset`: into nothing), and a
 * floor keeps older votes from counting. */
void redis_archive(unsigned article, bool reset);

/* The bucket of a reader's register, of 4^level = `size` buckets that are split up to `split`. */
uint32_t redis_bucket(uint64_t reader, uint32_t size, uint32_t split);
uint32_t redis_buckets(unsigned level);
struct redis_register *redis_register(struct redis_shard *shard, uint32_t of, uint32_t bucket,
                                      uint64_t reader);

/* How long a shard's pause lasts yet, in µs; 0: there is none, or it is of before the clock was set
 * back. */
#define REDIS_PAUSE_MAX_US 2000000u
uint64_t redis_paused_us(const struct redis_shard *shard);

/* The shard or the part that a key is of; -1: none. */
unsigned redis_shard_of(const char *key);
int redis_part_of(const char *key, size_t bytes);

/* Subscribers on the server that runs a command, or on the shard's owner, get it. */
extern void (*redis_on_changed)(unsigned server, unsigned shard);
void redis_changed(unsigned shard);

/* The total of an article by base and head. */
void redis_total(unsigned article, int64_t count[KIND_MAX + 1], uint64_t *version);

#endif
