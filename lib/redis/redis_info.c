/* Reads the lines of INFO. Redis and Valkey end them with CR LF, and name a field once in a
 * section. */
#include "redis/redis_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *redis_info_value(const char *text, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, bytes) == 0 && at[bytes] == ':')
            return at + bytes + 1;
    }
    return NULL;
}

uint64_t redis_info_number(const char *text, const char *name)
{
    const char *at = redis_info_value(text, name);
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

bool redis_info_is(const char *text, const char *name, const char *value)
{
    const char *at = redis_info_value(text, name);
    size_t bytes = strlen(value);
    return at != NULL && strncmp(at, value, bytes) == 0 && strchr("\r\n", at[bytes]) != NULL;
}

void redis_info_read_memory(const char *text, struct redis_info_memory *out)
{
    uint64_t limit = redis_info_number(text, "maxmemory");
    out->evicts = redis_info_value(text, "maxmemory_policy") != NULL &&
                  !redis_info_is(text, "maxmemory_policy", "noeviction");
    out->full = !out->evicts && limit > 0 &&
                redis_info_number(text, "used_memory") >
                    limit + redis_info_number(text, "mem_not_counted_for_evict");
}

/* Of a line such as slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=1 */
static bool read_replica(const char *line, uint64_t *offset)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\r\n"), line);
    const char *at = strstr(text, ",offset=");
    if (strstr(text, ",state=online") == NULL || at == NULL)
        return false;
    *offset = strtoull(at + sizeof ",offset=" - 1, NULL, 10);
    return true;
}

void redis_info_read_replication(const char *text, struct redis_info_replication *out)
{
    char name[24];
    *out = (struct redis_info_replication){
        .offset = redis_info_number(text, "master_repl_offset"),
        .connected = (unsigned)redis_info_number(text, "connected_slaves"),
        .guarded = redis_info_value(text, "min_slaves_good_slaves") != NULL,
    };
    for (unsigned i = 0; i < out->connected && i < 64; i++) {
        uint64_t offset;
        snprintf(name, sizeof name, "slave%u", i);
        const char *line = redis_info_value(text, name);
        if (line == NULL || !read_replica(line, &offset))
            continue;
        out->replicas++;
        if (offset > out->replica)
            out->replica = offset;
    }
}
