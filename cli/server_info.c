/* Parses sections of INFO: lines of name:value. The section `replication` has one for each replica.
 */
#include "server_info.h"

#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *info, const char *name)
{
    const size_t bytes = strlen(name);
    for (const char *line = info; *line != '\0';) {
        if (strncmp(line, name, bytes) == 0 && line[bytes] == ':')
            return line + bytes + 1;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return NULL;
}

/* slave0:ip=127.0.0.1,port=7001,state=online,offset=1234,lag=0 */
static uint64_t offset_of(const char *line, size_t bytes)
{
    static const char online[] = "state=online", offset[] = "offset=";
    bool is_online = memmem(line, bytes, online, sizeof online - 1) != NULL;
    const char *at = memmem(line, bytes, offset, sizeof offset - 1);
    return is_online && at != NULL ? strtoull(at + sizeof offset - 1, NULL, 10) : 0;
}

int server_info_replication(struct server_info_replication *out, const char *info)
{
    const char *role = value_of(info, "role"), *replicas = value_of(info, "connected_slaves"),
               *offset = value_of(info, "master_repl_offset");
    if (role == NULL || strncmp(role, "master", 6) != 0 || replicas == NULL || offset == NULL)
        return -1;
    out->replicas = (uint32_t)strtoul(replicas, NULL, 10);
    out->offset = strtoull(offset, NULL, 10);
    out->best_replica = 0;
    for (const char *line = info; *line != '\0';) {
        size_t bytes = strcspn(line, "\n");
        uint64_t has = strncmp(line, "slave", 5) == 0 && line[5] >= '0' && line[5] <= '9'
                           ? offset_of(line, bytes)
                           : 0;
        if (has > out->best_replica)
            out->best_replica = has;
        line += bytes;
        line += *line == '\n';
    }
    return 0;
}

int server_info_aof(bool *on, const char *info)
{
    const char *enabled = value_of(info, "aof_enabled");
    if (enabled == NULL)
        return -1;
    *on = *enabled == '1';
    return 0;
}

int server_info_noeviction(bool *noeviction, const char *info)
{
    const char *policy = value_of(info, "maxmemory_policy");
    if (policy == NULL)
        return -1;
    *noeviction = strncmp(policy, "noeviction", strlen("noeviction")) == 0;
    return 0;
}
