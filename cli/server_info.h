/* What a primary says of itself in INFO. Pure; any thread. */
#ifndef TALLY_CLI_SERVER_INFO_H
#define TALLY_CLI_SERVER_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct server_info_replication {
    uint32_t replicas;     /* connected */
    uint64_t offset;       /* of all that it wrote */
    uint64_t best_replica; /* the highest offset that an online replica has confirmed; 0 none */
};

/* Reads the section `replication`. Returns 0, or -1 if the text does not have a primary's fields.
 */
int server_info_replication(struct server_info_replication *out, const char *info);

/* Reads the section `persistence`: whether the AOF is on. Returns 0, or -1 if it does not say. */
int server_info_aof(bool *on, const char *info);

/* Reads the section `memory`: whether a full Redis keeps everything. Returns 0, or -1 if it does
 * not say. */
int server_info_noeviction(bool *noeviction, const char *info);

#define SERVER_INFO_VERSION_BYTES 32

struct server_info_version {
    bool valkey;
    char text[SERVER_INFO_VERSION_BYTES]; /* such as 7.0.15; Valkey's is not that of its Redis */
    unsigned redis_major;                 /* of the Redis that it is, or is compatible with */
};

/* Reads the section `server`. Returns 0, or -1 if it does not say. */
int server_info_version(struct server_info_version *out, const char *info);

struct server_info_memory {
    uint64_t used_bytes, max_bytes; /* max 0: no limit */
    uint64_t machine_bytes;
};

/* Reads the section `memory`. Returns 0, or -1 if it does not say. */
int server_info_memory(struct server_info_memory *out, const char *info);

#endif
