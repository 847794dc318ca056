/* What an answer says about the server that gave it. Pure; any thread. */
#ifndef TALLY_REDIS_REDIS_ANSWER_H
#define TALLY_REDIS_REDIS_ANSWER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

/* The error in an answer: its own, or the error of a command in one of Tally's scripts, which the
 * script passes on as {'error', what, …}. NULL if none. Valid as long as the answer. */
const char *redis_answer_error(const redisReply *reply);

/* Whether the error's first word is this one. */
bool redis_answer_is(const char *error, const char *word);

/* Whether the error means that another server should be asked. NOREPLICAS does not: it may pass,
 * and reads still work. */
bool redis_answer_leaves(const char *error);

/* The error that AUTH was answered with, in words that cannot contain the password. */
const char *redis_answer_auth(const char *error);

#endif
