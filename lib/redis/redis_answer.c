/* The words are those of Redis 6 to 8 and of Valkey; an error that is not known here means that the
 * server stays. */
#include "redis/redis_answer.h"

#include <string.h>

bool redis_answer_is(const char *error, const char *word)
{
    size_t bytes = strlen(word);
    return strncmp(error, word, bytes) == 0 && (error[bytes] == ' ' || error[bytes] == '\0');
}

const char *redis_answer_error(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING &&
        reply->element[1]->type == REDIS_REPLY_STRING &&
        strcmp(reply->element[0]->str, "error") == 0)
        return reply->element[1]->str;
    return NULL;
}

bool redis_answer_leaves(const char *error)
{
    static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                                        "UNBLOCKED"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (redis_answer_is(error, words[i]))
            return true;
    return false;
}

const char *redis_answer_auth(const char *error)
{
    static const char *const known[] = {"WRONGPASS", "NOPERM", "LOADING",
                                        "ERR AUTH <password> called",
                                        "ERR Client sent AUTH, but no password is set"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(error, known[i], strlen(known[i])) == 0)
            return error;
    /* A server that does not know the command repeats its arguments. */
    return "it refuses the command AUTH";
}
