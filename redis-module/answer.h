/* The answer to a call: that of register.lua, where each form is explained. Redis's main thread. */
#ifndef TALLY_REDIS_MODULE_ANSWER_H
#define TALLY_REDIS_MODULE_ANSWER_H

#include "module_api.h"

#include <stddef.h>
#include <stdint.h>

#define ANSWER_TEXT_BYTES 512
#define ANSWER_SUPERSEDED_BYTES 3 /* u16 index, u8 kind id */

enum answer_what { ANSWER_OK, ANSWER_AT, ANSWER_STORE, ANSWER_PAUSED, ANSWER_ERROR };

struct answer {
    enum answer_what what;
    long long added, changed, repeated;
    unsigned char *superseded; /* room for all votes; the caller's */
    size_t superseded_bytes;
    const char *split_error;      /* "" */
    long long paused_ms;          /* ANSWER_PAUSED */
    long long article;            /* ANSWER_ERROR: from 1; 0: the shard's own keys */
    RedisModuleString *position;  /* ANSWER_AT: as stored, NULL if none is */
    char text[ANSWER_TEXT_BYTES]; /* ANSWER_STORE, ANSWER_ERROR */
};

/* Notes an error. */
void answer_error(struct answer *answer, const char *text, size_t article);

void answer_send(const struct answer *answer, const struct module_api *api, RedisModuleCtx *ctx);

#endif
