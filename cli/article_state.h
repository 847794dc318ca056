/* An article's state (INTERFACES.md 2.9): read as an operator writes it, as the feed publishes it
 * and as Redis keeps it; changed; written as an operator does. Pure; any thread. */
#ifndef TALLY_CLI_ARTICLE_STATE_H
#define TALLY_CLI_ARTICLE_STATE_H

#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTICLE_STATE_MAX_BYTES 2048

struct article_state {
    bool closed;
    int kinds; /* 0: all */
    char kind[KIND_MAX][KIND_NAME_MAX_BYTES + 1];
    bool opens, closes;
    uint64_t opens_ms, closes_ms; /* since 1970 */
    bool after_close;             /* results */
};

/* Of no bytes: open, all kinds. Returns 0, or -1 with what is wrong in `error`. */
int article_state_parse(struct article_state *state, const char *text, size_t bytes, char *error,
                        size_t error_bytes);

/* What is to be different; "" leaves it. */
struct article_state_change {
    const char *state, *results;      /* as in 2.9 */
    const char *kinds;                /* names with commas between, or "all" */
    const char *opens_at, *closes_at; /* a time, or "none" */
};

/* Returns 0, or -1 with a sentence that names the option. */
int article_state_change(struct article_state *state, const struct article_state_change *change,
                         char *error, size_t error_bytes);

/* Writes it as JSON. Returns its length. */
size_t article_state_write(const struct article_state *state,
                           char out[ARTICLE_STATE_MAX_BYTES + 1]);

/* Whether nothing is taken any more: closed by `state`, or since closes_at. */
bool article_state_closed(const struct article_state *state, uint64_t unix_ms);

/* `2026-12-01T08:00:00Z`, with a fraction or without. Returns 0, or -1. */
int article_state_time(const char *text, uint64_t *unix_ms);

#endif
