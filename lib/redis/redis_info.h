/* What an answer to INFO, or to CLUSTER INFO, says: lines of name:value. Pure; any thread. */
#ifndef TALLY_REDIS_REDIS_INFO_H
#define TALLY_REDIS_REDIS_INFO_H

#include <stdbool.h>
#include <stdint.h>

/* What follows `name:`, up to the end of the text: the value ends at CR, LF or NUL. NULL: there is
 * no such line. */
const char *redis_info_value(const char *text, const char *name);

/* A number, 0 if it is absent. */
uint64_t redis_info_number(const char *text, const char *name);

/* Whether the line `name:value` is there. */
bool redis_info_is(const char *text, const char *name, const char *value);

/* INFO memory. */
struct redis_info_memory {
    bool evicts; /* maxmemory-policy is known, and is not noeviction */
    bool full;   /* maxmemory has been reached, and nothing is evicted: it takes no writes */
};
void redis_info_read_memory(const char *text, struct redis_info_memory *out);

/* INFO replication. */
struct redis_info_replication {
    unsigned connected; /* replicas, online or not */
    unsigned replicas;  /* online */
    uint64_t offset;    /* the primary's: all that it has executed */
    uint64_t replica;   /* the highest offset that a replica has acknowledged; 0 without replicas */
    bool guarded;       /* min-replicas-to-write is set */
};
void redis_info_read_replication(const char *text, struct redis_info_replication *out);

#endif
