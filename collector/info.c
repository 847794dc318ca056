/* Reads the lines of INFO. Redis and Valkey end them with CR LF, and name a field once in a
 * section. */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of the line that begins with `name` and a colon, or NULL. */
static const char *info_value(const char *text, const char *name)
{
    size_t bytes = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, bytes) == 0 && at[bytes] == ':')
            return at + bytes + 1;
    }
    return NULL;
}

uint64_t info_number(const char *text, const char *name)
{
    const char *at = info_value(text, name);
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

bool info_is(const char *text, const char *name, const char *value)
{
    const char *at = info_value(text, name);
    size_t bytes = strlen(value);
    return at != NULL && strncmp(at, value, bytes) == 0 && strchr("\r\n", at[bytes]) != NULL;
}

void info_read_memory(const char *text, struct info_memory *out)
{
    uint64_t limit = info_number(text, "maxmemory");
    out->evicts = info_value(text, "maxmemory_policy") != NULL &&
                  !info_is(text, "maxmemory_policy", "noeviction");
    out->full =
        !out->evicts && limit > 0 &&
        info_number(text, "used_memory") > limit + info_number(text, "mem_not_counted_for_evict");
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

void info_read_replication(const char *text, struct info_replication *out)
{
    char name[24];
    *out = (struct info_replication){
        .offset = info_number(text, "master_repl_offset"),
        .guarded = info_value(text, "min_slaves_good_slaves") != NULL,
    };
    uint64_t connected = info_number(text, "connected_slaves");
    for (unsigned i = 0; i < connected && i < 64; i++) {
        uint64_t offset;
        snprintf(name, sizeof name, "slave%u", i);
        const char *line = info_value(text, name);
        if (line == NULL || !read_replica(line, &offset))
            continue;
        out->replicas++;
        if (offset > out->replica)
            out->replica = offset;
    }
}
