/* Whether this edge admits reactions, and what it admits will be counted: what a load balancer
 * needs to know before it sends readers here (INTERFACES.md 2.4, `refuses`). A Redis that is away
 * does not make the edge refuse: the spool keeps the reactions. Pure; any thread. */
#ifndef TALLY_COLLECTOR_ADMISSION_H
#define TALLY_COLLECTOR_ADMISSION_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A ring with less room than this may refuse: a record with a receipt has 112 bytes. */
#define ADMISSION_ROOM_BYTES 256

struct admission {
    bool spool;     /* it is open */
    bool producer;  /* the broker has it */
    bool clock_bad; /* as the plugin sees it */
    int64_t clock_skew_ms;
    bool joined;           /* a store has accepted this edge, now or when a ring applied to it */
    const char *store_why; /* why no store accepts it; "" unknown */
    unsigned rings, full;  /* current rings, and those of them without room */
};

/* Writes the reason why readers should go elsewhere, or "" if they may come. */
void admission_judge(const struct admission *edge, struct error *why);

#endif
