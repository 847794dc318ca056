/* Runs the feed's scripts that write (FORMATS.md 5): each on one shard of the store that the link
 * follows, and of no other. Loop thread only. */
#ifndef TALLY_FEED_SCRIPT_H
#define TALLY_FEED_SCRIPT_H

#include "store_link.h"

#include <stddef.h>
#include <stdint.h>

#define SCRIPT_KEYS_MAX 8
#define SCRIPT_ARGUMENTS_MAX 8

struct script_text {
    const char *text;
    size_t bytes;
};

struct script_call {
    struct script_text script;
    uint32_t shard;
    const char *const *names; /* of the shard's keys, SCRIPT_KEYS_MAX at most */
    size_t keys;
    const struct script_text *arguments; /* SCRIPT_ARGUMENTS_MAX at most */
    size_t n;
};

/* Valid during the callback. */
struct script_answer {
    const char *word; /* the first word; NULL: it failed, and wrote nothing */
    const char *text; /* the second word, or why Redis refused the script; NULL: none */
    long long number; /* the second, where it is a number; else 0 */
};

typedef void (*script_cb)(void *user, const struct script_answer *answer);

/* Runs a script on its keys; the last argument is the store's id. A script that finds that the
 * shard belongs to another store answers 'store' and does nothing: the shard is then away, and the
 * call has failed. Returns 0, and calls back exactly once, or -1 while the shard is not ready. */
int script_run(struct store_link *link, const struct script_call *call, script_cb callback,
               void *user);

#endif
