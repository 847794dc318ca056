/* What changes articles in Redis: scripts, each of which changes an article as a whole or not at
 * all (FORMATS.md 5.4), whatever becomes of this program. They wait while a shard is paused.
 * Functions return 0, or -1 with a sentence from store_edit_error. One thread. */
#ifndef TALLY_CLI_STORE_EDIT_H
#define TALLY_CLI_STORE_EDIT_H

#include "store_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_EDIT_CALLS_MAX 64
#define STORE_EDIT_ARGUMENTS_MAX 256 /* of a call, after the shard */

enum store_edit_script { STORE_EDIT_RESET, STORE_EDIT_BASE, STORE_EDIT_ERASE, STORE_EDIT_DROP };

struct store_edit;

/* Loads the scripts. NULL with a sentence in `error`. The store stays the caller's. */
struct store_edit *store_edit_new(struct store_view *store, char *error, size_t error_bytes);
void store_edit_free(struct store_edit *edit);
const char *store_edit_error(const struct store_edit *edit);

/* One call of a script: what the script's head calls ARGV from 2 on, and its answer, an array whose
 * first element is a word. */
struct store_edit_call {
    uint32_t shard;
    int argc;
    const char *const *argv;
    const size_t *bytes;
    redisReply *reply; /* NULL before; after, the caller's, to be freed by store_edit_release */
};

/* Makes up to STORE_EDIT_CALLS_MAX calls at once, and those again that met a pause. After a failure
 * some may have been made, and no answer is kept. */
int store_edit_call(struct store_edit *edit, enum store_edit_script script,
                    struct store_edit_call *calls, size_t n);
void store_edit_release(struct store_edit_call *calls, size_t n);

/* Of an answer: its word, the number or text at a later place (0, "" where there is none). */
const char *store_edit_word(const struct store_edit_call *call);
int64_t store_edit_number(const struct store_edit_call *call, size_t i);
const char *store_edit_text(const struct store_edit_call *call, size_t i);

/* Deletes all registers that are noted as dropped, slice by slice. */
int store_edit_drop(struct store_edit *edit);

#endif
