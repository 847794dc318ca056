/* An article's state as the registry stores it (registry_layout.h): what it allows, and the way
 * from and to an operator's state, which names kinds. Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_REGISTRY_STATE_H
#define TALLY_BROKER_PLUGIN_REGISTRY_STATE_H

#include "registry_layout.h"

#include "core/article_state.h"
#include "core/kind.h"

#include <stdbool.h>
#include <stdint.h>

/* For a stored copy: whether the kind (an index of the rules' table) is offered, `none` always; and
 * whether reactions are open now. */
bool registry_state_offers(const unsigned char *copy, int kind);
bool registry_state_accepts(const unsigned char *copy, uint64_t unix_ms);

bool registry_state_same(const unsigned char *copy, const struct registry_layout_state *state);

/* Fills `out` with the state, except that an operator's (version 0) keeps `version_before`. Kinds
 * that `table` does not have are dropped; false: there were some. */
bool registry_state_pack(const struct article_state *state, const struct kind_table *table,
                         uint64_t version_before, struct registry_layout_state *out);

/* The reverse. False if it offers only kinds that are no longer configured: such a state cannot be
 * expressed. */
bool registry_state_unpack(const struct registry_layout_state *state,
                           const struct kind_table *table, struct article_state *out);

/* The state of an entry that has one, from a file whose kinds are `theirs`; kinds that `ours` does
 * not have are dropped. False if the state is damaged. */
bool registry_state_read_foreign(const unsigned char *entry, const struct kind_table *theirs,
                                 const struct kind_table *ours, struct registry_layout_state *out);

#endif
