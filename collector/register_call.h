/* The call of register.lua (see there): what goes in front of a batch's articles, and what the
 * reply says. Pure; one thread. */
#ifndef TALLY_COLLECTOR_REGISTER_CALL_H
#define TALLY_COLLECTOR_REGISTER_CALL_H

#include "apply.h"
#include "batch.h"
#include "redis/redis_key.h"
#include "spool/ring.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER_CALL_KEYS 4
/* The command of the accelerator (redis-module/), which does what register.lua does. With the word
 * `how` alone it says how it replicates: calls or effects. */
#define REGISTER_CALL_ACCELERATOR "TALLY.REGISTER"
/* EVALSHA and the script, or the accelerator's command and whose clock holds, the number of keys,
 * the keys, and the arguments that every call has. */
#define REGISTER_CALL_FIXED (3 + REGISTER_CALL_KEYS + 10)
#define REGISTER_CALL_POSITION (3 + 2 + 3) /* arguments of position.lua's call */

/* One ring's calls: what is the same in all of them, and room for what changes. */
struct register_call {
    char key[REGISTER_CALL_KEYS][REDIS_KEY_BYTES];
    char ring[17], shard[12];
    unsigned char edge[8];
    unsigned char from[8], to[16];
    char quarantined[24], lost[24], split[12], store[17];
};

/* `prefix`: of every key. */
void register_call_init(struct register_call *call, const char *prefix,
                        const struct ring_identity *identity);

struct register_call_terms {
    const char *script; /* its SHA1 in hex */
    bool accelerated;   /* the server has the accelerator: its command, not the script */
    uint64_t store;     /* the id of the accepted store */
    unsigned split;     /* voters a bucket */
    bool renew;         /* apply_renews */
};

/* Fills the first REGISTER_CALL_FIXED arguments, which batch_new left free. They point into `call`
 * and `terms` and are valid until the next call is packed. */
void register_call_pack(struct register_call *call, const struct batch_range *range,
                        const struct register_call_terms *terms,
                        const struct batch_arguments *arguments);

/* What a reply says. Its pointers point into the reply. */
struct register_call_reply {
    enum apply_answer answer;
    const char *why; /* nothing was applied; NULL if there is nothing to say */
    size_t article;  /* the number of the article that failed, from 1; 0 none */
    /* The rest holds for APPLY_OK only. */
    uint64_t added, changed, repeated, superseded;
    const char *split_error;         /* why they could not be split, or "" */
    const unsigned char *next, *end; /* register_call_superseded's */
};

/* `reply` NULL: the connection ended. APPLY_NO_SCRIPT also if the accelerator is gone. The shard of
 * another store: APPLY_WAIT, `why` says which. */
void register_call_read(struct register_call_reply *out, const redisReply *reply);

/* Whether the vote at this index of the script (batch_record) was superseded, and by which kind id.
 * Ask for each index once, in rising order. */
bool register_call_superseded(struct register_call_reply *reply, size_t index, unsigned *kind_id);

/* The question for the ring's position. `adopt`: the shard belongs to this store from now on. The
 * arguments point into `call` and are valid until the next call is packed. */
void register_call_ask(struct register_call *call, uint64_t store, bool adopt,
                       const char *argv[REGISTER_CALL_POSITION],
                       size_t bytes[REGISTER_CALL_POSITION]);

/* Reads its answer, which may not be NULL. Returns NULL, or why the position is not known: the
 * shard belongs to another store, or Redis cannot say. It points into the reply, or is constant. */
const char *register_call_read_position(struct apply_position *out, const redisReply *reply);

#endif
