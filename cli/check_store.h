/* Compares an edge's options with the store: reader key, shards, kinds. Changes nothing. One
 * thread. */
#ifndef TALLY_CLI_CHECK_STORE_H
#define TALLY_CLI_CHECK_STORE_H

#include "broker_options.h"
#include "store_view.h"

#include "core/error.h"

#include <stdbool.h>

/* Calls `fn` with each finding: "reader key", "shards", "kinds". Returns 0, or -1 with a sentence
 * if the key cannot be read; the others are compared all the same. */
int check_store_run(struct store_view *store, const struct broker_options *here,
                    void (*fn)(void *user, bool agrees, const char *what, const char *text),
                    void *user, struct error *why);

#endif
