/* What the plugin asks of the feed: which articles may be forgotten (INTERFACES.md 2.10). Each call
 * examines a few entries of the table, so that nobody waits. A list is sent when it is full or when
 * every entry was examined. Lists are absolute, so a lost one costs only time. Pure; one thread. */
#ifndef TALLY_BROKER_PLUGIN_QUIET_H
#define TALLY_BROKER_PLUGIN_QUIET_H

#include "registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIET_LIST_MAX 100  /* articles in a list */
#define QUIET_SPACE_MS 1000 /* between two lists */
#define QUIET_LOOKS 1000    /* entries examined each time */
/* Per list: an id, 16 readers, and the text around them. */
#define QUIET_JSON_MAX_BYTES (64 + QUIET_LIST_MAX * 416)

struct quiet {
    uint64_t next_ms; /* no list before this time */
    uint32_t n;
    size_t bytes;
    char json[QUIET_JSON_MAX_BYTES];
};

/* Continues. True if `json`, `bytes` long, is a list to be sent; the next call begins another. */
bool quiet_look(struct quiet *quiet, struct registry *registry, uint64_t forget_s, uint64_t now_ms,
                uint64_t unix_ms);

#endif
