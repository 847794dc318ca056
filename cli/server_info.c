/* What the commands need of INFO: an answer that does not say it is an error here. */
#include "server_info.h"

#include "redis/redis_info.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int server_info_replication(struct server_info_replication *out, const char *info)
{
    struct redis_info_replication found;
    if (!redis_info_is(info, "role", "master") ||
        redis_info_value(info, "connected_slaves") == NULL ||
        redis_info_value(info, "master_repl_offset") == NULL)
        return -1;
    redis_info_read_replication(info, &found);
    out->replicas = found.connected;
    out->offset = found.offset;
    out->best_replica = found.replica;
    return 0;
}

int server_info_aof(bool *on, const char *info)
{
    if (redis_info_value(info, "aof_enabled") == NULL)
        return -1;
    *on = redis_info_is(info, "aof_enabled", "1");
    return 0;
}

int server_info_noeviction(bool *noeviction, const char *info)
{
    if (redis_info_value(info, "maxmemory_policy") == NULL)
        return -1;
    *noeviction = redis_info_is(info, "maxmemory_policy", "noeviction");
    return 0;
}

int server_info_version(struct server_info_version *out, const char *info)
{
    const char *redis = redis_info_value(info, "redis_version"),
               *valkey = redis_info_value(info, "valkey_version");
    const char *text = valkey != NULL ? valkey : redis;
    if (redis == NULL)
        return -1;
    out->valkey = valkey != NULL;
    out->redis_major = (unsigned)strtoul(redis, NULL, 10);
    (void)snprintf(out->text, sizeof out->text, "%.*s", (int)strcspn(text, "\r\n"), text);
    return 0;
}

int server_info_memory(struct server_info_memory *out, const char *info)
{
    if (redis_info_value(info, "used_memory") == NULL ||
        redis_info_value(info, "maxmemory") == NULL)
        return -1;
    out->used_bytes = redis_info_number(info, "used_memory");
    out->max_bytes = redis_info_number(info, "maxmemory");
    out->machine_bytes = redis_info_number(info, "total_system_memory");
    return 0;
}
