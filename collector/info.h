/* What INFO says. Pure; any thread. */
#ifndef TALLY_COLLECTOR_INFO_H
#define TALLY_COLLECTOR_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* A number, 0 if it is absent. */
uint64_t info_number(const char *text, const char *name);

/* Whether the line `name:value` is there. */
bool info_is(const char *text, const char *name, const char *value);

/* INFO memory. */
struct info_memory {
    bool evicts; /* maxmemory-policy is known, and is not noeviction */
    bool full;   /* maxmemory has been reached, and nothing is evicted: it takes no writes */
};
void info_read_memory(const char *text, struct info_memory *out);

/* INFO replication. */
struct info_replication {
    unsigned replicas; /* online */
    uint64_t offset;   /* the primary's: all that it has executed */
    uint64_t replica;  /* the highest offset that a replica has acknowledged; 0 without replicas */
    bool guarded;      /* min-replicas-to-write is set */
};
void info_read_replication(const char *text, struct info_replication *out);

#endif
