/* The words of one call of the command, which are those of register.lua's call: there is what they
 * mean. In place of EVALSHA's script they name a clock. The articles come as there, or packed into
 * one word: for each the bytes of its name (u8), the number of its votes (u16, little-endian), the
 * name, the votes. Redis's main thread. */
#ifndef TALLY_REDIS_MODULE_CALL_H
#define TALLY_REDIS_MODULE_CALL_H

#include "module_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_PREFIX_MAX_BYTES 256 /* of the shard's keys */
#define CALL_ERROR_BYTES 128

#define CALL_FIRST_KEY 3
#define CALL_LAST_KEY 6
#define CALL_FIRST_ARTICLE 17
#define CALL_CLOCK 1

#define CALL_HASH_BYTES 8
#define CALL_VALUE_BYTES 7
#define CALL_VOTE_BYTES (CALL_HASH_BYTES + CALL_VALUE_BYTES)

/* Everything points into the command's arguments. */
struct call {
    RedisModuleString *const *article; /* name, votes, name, votes, …; or the packed ones */
    size_t articles, votes;
    bool packed;
    RedisModuleString *heads, *changed, *meta, *rings; /* names of the keys */
    RedisModuleString *ring, *shard;
    uint64_t clock_us;  /* Redis's time, or that of the primary which applied the call */
    const char *prefix; /* of the shard's keys, up to and with the colon */
    size_t prefix_bytes;
    const unsigned char *from, *to, *edge; /* 8, 16 and 8 bytes */
    uint64_t quarantined, lost, threshold;
    bool renew;
    const char *store;
    size_t store_bytes;
};

/* Reads all of them, so that a call with a wrong one changes nothing. Returns 0, or -1 with an
 * error for the caller. */
int call_read(struct call *call, const struct module_api *api, RedisModuleString **argv, int argc,
              char error[CALL_ERROR_BYTES]);

/* --- its articles, one after the other --- */

struct call_articles {
    const struct call *call;
    const struct module_api *api;
    size_t next;             /* the article's number, from 0 */
    const unsigned char *at; /* the rest of the packed ones */
    /* The current one. */
    RedisModuleString *name;
    const unsigned char *votes;
    size_t votes_bytes;
};

void call_articles_begin(struct call_articles *articles, const struct call *call,
                         const struct module_api *api);
bool call_articles_next(struct call_articles *articles); /* false: there are no more */
void call_articles_end(struct call_articles *articles);  /* after the last, or before */

/* Packs the articles. The caller frees it with the API's free. NULL if one does not fit. */
unsigned char *call_pack(const struct call *call, const struct module_api *api, size_t *bytes);

#endif
