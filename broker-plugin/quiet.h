/* What the plugin asks of the feed: which articles may be forgotten (INTERFACES.md 2.10). A few of
 * the table are looked at each time, so that nobody waits; a list goes out when it is full, or when
 * all were looked at. Absolute, so that a lost one costs nothing but time. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_QUIET_H
#define TALLY_BROKER_PLUGIN_QUIET_H

#include "known.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIET_LIST_MAX 100  /* articles a list */
#define QUIET_SPACE_MS 1000 /* between two lists */
#define QUIET_LOOKS 1000    /* entries looked at each time */
/* Of a list: an id, 16 readers, and what stands around them. */
#define QUIET_JSON_MAX_BYTES (64 + QUIET_LIST_MAX * 416)

struct quiet {
    uint64_t next_ms; /* no list before */
    uint32_t n;
    size_t bytes;
    char json[QUIET_JSON_MAX_BYTES];
};

/* Looks on. True where `json`, `bytes` long, is a list to be sent; the next call begins another. */
bool quiet_look(struct quiet *quiet, struct known *known, uint64_t forget_s, uint64_t now_ms,
                uint64_t unix_ms);

#endif
