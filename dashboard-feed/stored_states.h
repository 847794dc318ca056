/* Reads the states that a store has of a shard's articles (FORMATS.md 5). Loop thread only. */
#ifndef TALLY_FEED_STORED_STATES_H
#define TALLY_FEED_STORED_STATES_H

#include "store_link.h"

#include "core/article_state.h"

#include <stddef.h>
#include <stdint.h>

struct stored_states_entry {
    const char *article; /* a valid id; valid during the callback, as what follows */
    size_t article_bytes;
    const struct article_state *state; /* NULL: it cannot be read */
};

/* The result of stored_states_page: some states of a shard, which may repeat earlier ones, and the
 * next cursor ("0": these were the last). NULL: the request failed. */
typedef void (*stored_states_cb)(void *user, uint32_t shard,
                                 const struct stored_states_entry *states, size_t n,
                                 const char *cursor);

/* Asks for some of a shard's states, from the cursor on ("0": from the beginning). Returns 0, and
 * calls back exactly once, or -1 while the shard is not ready. */
int stored_states_page(struct store_link *link, uint32_t shard, const char *cursor,
                       stored_states_cb callback, void *user);

#endif
