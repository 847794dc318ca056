/* Applies the votes of one call to registers and heads, as register.lua does: what is left behind,
 * and the answer, are the same. Redis's main thread. */
#ifndef TALLY_REDIS_MODULE_BATCH_H
#define TALLY_REDIS_MODULE_BATCH_H

#include "answer.h"
#include "call.h"
#include "keys.h"
#include "shard.h"

/* `answer` is empty; has room for all votes at `superseded`. */
void batch_apply(struct shard *shard, struct keys *keys, const struct call *call,
                 struct answer *answer);

#endif
