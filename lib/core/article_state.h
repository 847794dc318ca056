/* Reads and writes an article's state (INTERFACES.md 2.9): the form an operator writes and the form
 * the feed passes on. The parser is strict and our own, because admission must not allocate. Pure;
 * any thread. */
#ifndef TALLY_CORE_ARTICLE_STATE_H
#define TALLY_CORE_ARTICLE_STATE_H

#include "core/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTICLE_STATE_PAYLOAD_MAX_BYTES 2048
#define ARTICLE_STATE_TEXT_MAX_BYTES 1024 /* what article_state_write produces, with its NUL */
#define ARTICLE_STATE_NEVER UINT64_MAX

struct article_state {
    bool closed;           /* by the member `state` */
    bool after_close;      /* results */
    uint64_t opens_at_ms;  /* since 1970; 0 none */
    uint64_t closes_at_ms; /* since 1970; 0 none */
    uint64_t version;      /* in the feed's form; 0: an operator's */
    bool open;             /* in the feed's form: reactions were accepted when it was written */
    uint8_t kinds;         /* how many are offered; 0: all */
    char kind[KIND_MAX][KIND_NAME_MAX_BYTES + 1]; /* in the order to show them */
};

/* Parses a non-empty payload of `articles/<article>`, or the copy in Redis. A payload with a
 * version has the feed's form. It may have the members `article`, which must name this article, and
 * `open`. Any other payload is an operator's. Returns 0. Returns -1 and leaves `out` undefined for
 * unknown, repeated or mistyped members, kinds that are malformed or named twice, and impossible
 * times. The caller checks whether the kinds are configured. */
int article_state_parse(struct article_state *out, const char *article, size_t article_bytes,
                        const void *payload, size_t bytes);

/* Writes a state as JSON, with a NUL. With `article` NULL it writes the form for Redis, without
 * `article` and `open`. `open` comes from the argument. A version of 0 is left out. Returns the
 * length, or 0 if it does not fit. */
size_t article_state_write(const struct article_state *state, const char *article,
                           size_t article_bytes, bool open, char *out, size_t out_bytes);

/* Reads `2026-12-01T08:00:00Z`, with or without a fraction of a second, from the year 2000 on.
 * Returns 0, or -1. */
int article_state_time(const char *text, uint64_t *unix_ms);

/* Whether it is closed. An article that has not opened yet does not count as closed. */
bool article_state_closed_at(const struct article_state *state, uint64_t unix_ms);

/* Whether reactions are accepted. */
bool article_state_open_at(const struct article_state *state, uint64_t unix_ms);

/* Whether totals are hidden from everybody. */
bool article_state_hides(const struct article_state *state, uint64_t unix_ms);

/* The next time after `unix_ms` at which article_state_open_at or article_state_hides changes its
 * answer, or ARTICLE_STATE_NEVER. */
uint64_t article_state_next_change(const struct article_state *state, uint64_t unix_ms);

#endif
