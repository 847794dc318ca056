/* What the collector says in ops/collector (INTERFACES.md 2.4), as far as the feed needs it. Pure;
 * one thread. */
#ifndef TALLY_FEED_COLLECTOR_STATUS_H
#define TALLY_FEED_COLLECTOR_STATUS_H

#include "core/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECTOR_STATUS_REASON_MAX_BYTES 511

/* Numbers are doubles, as JSON's are. */
struct collector_status {
    bool online; /* false: nothing below is set */
    bool ready;
    bool producer;                                      /* the broker has the spool */
    char reason[COLLECTOR_STATUS_REASON_MAX_BYTES + 1]; /* a longer one ends between two words, … */
    /* Why readers should go to another edge, or ""; cut like the reason. */
    char refuses[COLLECTOR_STATUS_REASON_MAX_BYTES + 1];
    char edge[17];  /* 16 hex digits, or "" */
    char store[17]; /* that the collector is ready with: 16 hex digits, or "" */
    double refused[REASON_COUNT];
};

/* Parses a status. A missing member counts as 0, "" or false, so that older and newer collectors
 * are understood. Returns 0, or -1 if it is not a JSON object. */
int collector_status_parse(struct collector_status *status, const char *json, size_t bytes);

#endif
