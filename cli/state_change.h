/* Applies the options of `tally article` to an article's state. Pure; any thread. */
#ifndef TALLY_CLI_STATE_CHANGE_H
#define TALLY_CLI_STATE_CHANGE_H

#include "core/article_state.h"
#include "core/error.h"

/* The changes; "" leaves a part unchanged. */
struct state_change {
    const char *state, *results;      /* as in INTERFACES.md 2.9 */
    const char *kinds;                /* names separated by commas, or "all" */
    const char *opens_at, *closes_at; /* a time, or "none" */
};

/* Returns 0, or -1 with a sentence that names the option. */
int state_change_apply(struct article_state *state, const struct state_change *change,
                       struct error *error);

#endif
