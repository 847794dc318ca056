/* An article's state (INTERFACES.md 2.9): what an operator writes and what the feed passes on, read
 * and written. A parser of its own, strict, as admission must not allocate. Pure; any thread. */
#ifndef TALLY_CORE_ARTICLE_STATE_H
#define TALLY_CORE_ARTICLE_STATE_H

#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTICLE_STATE_PAYLOAD_MAX_BYTES 2048
#define ARTICLE_STATE_TEXT_MAX_BYTES 1024 /* what article_state_write makes, with its NUL */
#define ARTICLE_STATE_NEVER UINT64_MAX

struct article_state {
    bool closed;           /* by `state` */
    bool after_close;      /* results */
    uint64_t opens_at_ms;  /* since 1970; 0 none */
    uint64_t closes_at_ms; /* likewise */
    uint64_t version;      /* of the feed's form; 0: an operator's */
    bool open;             /* of the feed's form: reactions were taken when it was written */
    uint8_t kinds;         /* how many are offered; 0: all */
    char kind[KIND_MAX][KIND_NAME_MAX_BYTES + 1]; /* in the order to show them */
};

/* Parses a payload of `articles/<article>` that is not empty, or what Redis holds. A payload with a
 * version is of the feed's form and may have the members `article`, which must be this one, and
 * `open`; any other is an operator's. Returns 0, or -1 and leaves `out` undefined: unknown,
 * repeated or mistyped members, kinds of no name's form or named twice, impossible times. Whether
 * the kinds are configured is the caller's to judge. */
int article_state_parse(struct article_state *out, const char *article, size_t article_bytes,
                        const void *payload, size_t bytes);

/* The JSON of a state, with a NUL. `article` NULL: as Redis holds it, without `article` and `open`.
 * `open` is the argument's. Without a version where that is 0. Returns its length; 0 where it does
 * not fit. */
size_t article_state_write(const struct article_state *state, const char *article,
                           size_t article_bytes, bool open, char *out, size_t out_bytes);

/* Reads `2026-12-01T08:00:00Z`, with a fraction of a second or without, from the year 2000 on.
 * Returns 0, or -1. */
int article_state_time(const char *text, uint64_t *unix_ms);

/* Whether it is closed, and not only not open yet. */
bool article_state_closed_at(const struct article_state *state, uint64_t unix_ms);

/* Whether reactions are taken. */
bool article_state_open_at(const struct article_state *state, uint64_t unix_ms);

/* Whether nobody is shown totals. */
bool article_state_hides(const struct article_state *state, uint64_t unix_ms);

/* When the answer of one of the two above changes next, after `unix_ms`; ARTICLE_STATE_NEVER. */
uint64_t article_state_next_change(const struct article_state *state, uint64_t unix_ms);

#endif
