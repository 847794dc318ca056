/* Checks what an edge needs of each of Redis's nodes and of each shard: the clock, the durability,
 * the store. Changes nothing. One thread. */
#ifndef TALLY_CLI_CHECK_NODES_H
#define TALLY_CLI_CHECK_NODES_H

#include "store_view.h"

#include "core/error.h"

#include <stdbool.h>

/* Calls `fn` with each finding: "clock", "durability", "identity". `durability` is the collectors'
 * option. Returns 0, or -1 with a sentence if something could not be asked. */
int check_nodes_run(struct store_view *store, const char *durability,
                    void (*fn)(void *user, bool agrees, const char *what, const char *text),
                    void *user, struct error *why);

#endif
