/* State shared by the judge's files: what readers did, what the programs were told, what was lost.
 * Each file judge_*.c has one job; judge.h is for everyone else. One thread. */
#ifndef TALLY_SIMULATION_JUDGE_STATE_H
#define TALLY_SIMULATION_JUDGE_STATE_H

#include "judge.h"
#include "wire.h"

#define JUDGE_REQUESTS_MAX 224
#define JUDGE_RINGS_MAX (32 * WORLD_EDGES)
#define JUDGE_TOTALS_MAX 512

/* One record in a ring. `value` is of the kind's number in the world, not of its id in Redis. */
struct judge_request {
    unsigned reader, article, edge, shard;
    int kind;
    uint32_t send;
    uint64_t click_us, flight_us;
    bool clock_good;
    bool optional;        /* it was lost in a way that was not promised against, or quarantined */
    bool unheld;          /* at a loss of power or a damage: no ring held it then */
    bool torn, recovered; /* its broker was killed in the append; it was found whole all the same */
    uint64_t value, ring_id, position;
    uint64_t counted_in; /* the call */
    uint64_t
        truths[REDIS_SERVERS]; /* bit 0: the register held it; bit 1 + k: a newer one of kind k */
    uint64_t vouched;          /* those of servers that have answered, and were the owner then */
    size_t bytes;
    unsigned char copy[RECORD_MAX_BYTES];
};

struct judge_ring {
    uint64_t id, highest; /* position that Redis ever had */
    uint64_t read;        /* that was found freed last */
    uint64_t answered;    /* up to where `server` has told its collector that it has it … */
    unsigned server;      /* … since it was asked last */
    bool asked;
    bool twins; /* it holds two records of the same reader and stamp */
};

/* Of a shard's current ring, as the collector goes. */
struct judge_going {
    uint64_t ring_id, sent_to;
    unsigned server;    /* that was asked for the position */
    unsigned in_flight; /* batches: the answer to one wakes the collector */
    bool going;
};

struct judge_shown {
    unsigned article;
    uint64_t version;
    int64_t count[WORLD_KINDS + 1];
};

typedef char judge_names[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1]; /* by id; "" none */

/* tally:store, as a collector has read it. */
struct judge_known {
    uint64_t store;
    judge_names kinds;
};

/* The owners according to the collector's newest answer from a server with the majority. After
 * REDIS_BELIEF_MS without one it believes any answer. */
struct judge_heard {
    uint64_t epoch; /* 0: none, or it may believe another one */
    uint64_t us;
    int owner[REDIS_PARTS];
};

/* What the judge compares the next answer on a link with. */
struct judge_view {
    bool sound;
    uint64_t epoch;
};

struct judge {
    struct judge_request requests[JUDGE_REQUESTS_MAX];
    unsigned n_requests;
    struct judge_ring rings[JUDGE_RINGS_MAX];
    unsigned n_rings;
    struct judge_going pipelines[WORLD_EDGES][WORLD_SHARDS];
    struct judge_shown shown[JUDGE_TOTALS_MAX];
    unsigned n_shown;
    uint64_t newest_version[REDIS_SERVERS][WORLD_SHARDS];
    judge_names kinds;                     /* as they were given last */
    bool counted[KIND_MAX + 1];            /* ids that a vote has been counted under */
    bool confused;                         /* … and one was given twice, as all was wiped */
    struct judge_known read[WORLD_EDGES];  /* last */
    struct judge_known known[WORLD_EDGES]; /* when it last sent a batch */
    bool same_version[WORLD_ARTICLES];     /* two masters gave it the same version by chance */
    uint64_t published[WORLD_EDGES][WORLD_ARTICLES];
    uint64_t interrupted_us[WORLD_EDGES];
    bool happened[JUDGE_LOSSES];
    uint64_t store_of[WORLD_EDGES]; /* that an edge has applied to */
    bool adopts[WORLD_EDGES];
    struct judge_heard heard[WORLD_EDGES];
    struct judge_view view[WORLD_EDGES * WIRE_LINKS];
    unsigned owner[WORLD_SHARDS];          /* before all is mended */
    bool heals[WORLD_EDGES][WORLD_SHARDS]; /* see judge_ring_mends */
    uint64_t mended_us;
    struct {
        uint64_t ring_id, from, to, voted, number;
    } under_way; /* the call of the script */
};

extern struct judge judge;

/* --- judge_request.c --- */

/* What is known of a ring; it is made if need be. */
struct judge_ring *judge_request_ring(uint64_t id);

/* Whether the record lies whole in the ring; in a ring file from which it will be applied; whether
 * Redis has applied it. */
bool judge_request_whole(const struct judge_request *request, const struct files_ring *file);
bool judge_request_held(const struct judge_request *request);
bool judge_request_applied(const struct judge_request *request);

/* How many records came before a position. */
uint64_t judge_request_before(uint64_t ring_id, uint64_t position);

/* --- judge_kinds.c --- */

void judge_kinds_begin(void);

/* A register's value with the kind's number in the world in place of its id in Redis. */
uint64_t judge_kinds_world(uint64_t value);
/* A vote was counted with this value: from now on its id means one kind. */
void judge_kinds_counted(uint64_t value);

/* Whether two of these are the same, as far as it can be known. */
bool judge_kinds_same(uint64_t value, uint64_t other);

/* A collector has read tally:store; it sends something. */
void judge_kinds_read(unsigned edge, const redisReply *reply);
void judge_kinds_sent(unsigned edge, const struct redis_words *words);

/* --- checks at each step and at the end: `false`, with the reason, if not fulfilled yet --- */

void judge_ring_freed(void);
void judge_ring_healed(void);
void judge_ring_awake(unsigned edge);
bool judge_ring_done(struct error *why);
bool judge_shown_done(struct error *why);
void judge_shown_subscribers(unsigned edge);

#endif
