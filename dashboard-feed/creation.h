/* What the broker's plugin says in ops/refusals (INTERFACES.md 2.8) about articles created by
 * reactions. Pure; one thread. */
#ifndef TALLY_FEED_CREATION_H
#define TALLY_FEED_CREATION_H

#include <stdbool.h>
#include <stddef.h>

enum creation_cause {
    CREATION_OFF,
    CREATION_READER,
    CREATION_ADDRESS,
    CREATION_RATE,
    CREATION_FULL,
    CREATION_CAUSES
};

/* Numbers are doubles, as JSON's are. */
struct creation {
    bool heard; /* false: nothing below is set */
    double known, max, provisional;
    double made, forgotten;
    double refused[CREATION_CAUSES];
};

const char *creation_cause_name(enum creation_cause cause);

/* Parses ops/refusals; a missing member counts as 0. Returns 0, or -1, with `creation` unchanged,
 * where the message says nothing about it. */
int creation_parse(struct creation *creation, const char *json, size_t bytes);

#endif
