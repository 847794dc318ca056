/* What INFO replication says of a primary. Pure; any thread. */
#ifndef TALLY_CLI_REPLICATION_H
#define TALLY_CLI_REPLICATION_H

#include <stdint.h>

struct replication {
    uint32_t replicas;     /* connected */
    uint64_t offset;       /* of all that it wrote */
    uint64_t best_replica; /* the highest offset that an online replica has confirmed; 0 none */
};

/* Returns 0, or -1 if the text lacks a primary's fields. */
int replication_read(struct replication *out, const char *info);

#endif
