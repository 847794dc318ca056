/* A kind's id that a failover takes back would be assigned to another kind. A write to
 * tally:store therefore counts only when a replica has it. */
#include "replica_wait.h"

#include "daemon/log.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_MS "1000"

bool replica_wait_due(struct replica_wait *wait, unsigned replicas,
                      const char *words[REPLICA_WAIT_WORDS])
{
    if (replicas == 0)
        wait->needs_wait = false;
    words[0] = "WAIT";
    words[1] = "1";
    words[2] = LIMIT_MS;
    return wait->needs_wait;
}

/* Whether Redis refuses WAIT: the user may not call it, or the command is disabled. Any
 * other error says that this server cannot know, such as one that has been demoted. */
static bool is_refused(const redisReply *answer)
{
    static const char *const refusals[] = {"NOPERM", "ERR unknown command"};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (answer->type == REDIS_REPLY_ERROR &&
            strncmp(answer->str, refusals[i], strlen(refusals[i])) == 0)
            return true;
    return false;
}

bool replica_wait_answered(struct replica_wait *wait, const redisReply *answer,
                           char why[STORE_WHY_BYTES])
{
    bool refused = is_refused(answer);
    if (refused && !wait->said)
        log_line(LOG_LEVEL_WARNING,
                 wait->optional ? "WAIT is refused: a failover may lose new kinds"
                                : "WAIT is refused: allow it to the user in Redis",
                 "error=%s", answer->str);
    wait->said = wait->said || refused;
    if ((refused && wait->optional) ||
        (answer->type == REDIS_REPLY_INTEGER && answer->integer > 0)) {
        wait->needs_wait = false;
        return true;
    }
    if (refused)
        snprintf(why, STORE_WHY_BYTES, "store: WAIT is refused, allow it to the user in Redis: %s",
                 answer->str);
    else if (answer->type == REDIS_REPLY_ERROR)
        snprintf(why, STORE_WHY_BYTES, "store: its new kinds are not replicated: %s", answer->str);
    else
        snprintf(why, STORE_WHY_BYTES, "store: no replica has its new kinds yet");
    return false;
}
