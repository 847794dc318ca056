/* A restart changes run_id. A replica that is promoted, and a server that takes over the contents
 * of another one, change master_replid. */
#include "redis_run.h"

#include "redis/redis_info.h"

#include <stdio.h>

#define PART_BYTES (REDIS_RUN_BYTES / 2)

/* The value of a line of INFO, PART_BYTES of it at most. */
static void read_line(const char *info, const char *name, char out[PART_BYTES + 1])
{
    const char *at = redis_info_value(info, name);
    size_t n = 0;
    if (at != NULL)
        for (; n < PART_BYTES && at[n] > ' '; n++)
            out[n] = at[n];
    out[n] = '\0';
}

static void on_info(void *user, const redisReply *info)
{
    char *run = user;
    if (info == NULL)
        return;
    char id[PART_BYTES + 1] = "", replication[PART_BYTES + 1] = "";
    if (info->type != REDIS_REPLY_ERROR && info->str != NULL) {
        read_line(info->str, "run_id", id);
        read_line(info->str, "master_replid", replication);
    }
    snprintf(run, REDIS_RUN_BYTES + 1, "%s%s", id, replication);
}

void redis_run_ask(char run[REDIS_RUN_BYTES + 1], struct redis_nodes *nodes, unsigned node)
{
    const char *words[] = {"INFO"};
    const size_t bytes[] = {4};
    (void)redis_nodes_send_node(nodes, node, on_info, run, 1, words, bytes);
}
