/* Changes articles in Redis with scripts. Each script changes an article completely or not at all
 * (FORMATS.md 5.4), even if this program is killed. Calls wait while a shard is paused, and
 * STORE_NODES_WAIT_MS at most while it moves or has no node. Functions return 0, or -1 with a
 * sentence from store_edit_error. One thread. */
#ifndef TALLY_CLI_STORE_EDIT_H
#define TALLY_CLI_STORE_EDIT_H

#include "core/error.h"
#include "store_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_EDIT_CALLS_MAX 64
#define STORE_EDIT_ARGUMENTS_MAX 256 /* of a call, after the shard */

enum store_edit_script { STORE_EDIT_RESET, STORE_EDIT_BASE, STORE_EDIT_ERASE, STORE_EDIT_DROP };

struct store_edit;

/* Loads the scripts. NULL with a sentence in `error`. The caller keeps ownership of the store. */
struct store_edit *store_edit_new(struct store_view *store, struct error *error);
void store_edit_free(struct store_edit *edit);
const char *store_edit_error(const struct store_edit *edit);

/* One call of a script: the arguments that the script's header comment lists as ARGV from 2 on, and
 * the answer, an array whose first element is a word. */
struct store_edit_call {
    uint32_t shard;
    int argc;
    const char *const *argv;
    const size_t *bytes;
    redisReply *reply; /* NULL before; after, the caller's, to be freed by store_edit_release */
};

/* Makes up to STORE_EDIT_CALLS_MAX calls at once, and repeats those that met a pause. After a
 * failure some calls may have taken effect, and no answer is kept. */
int store_edit_call(struct store_edit *edit, enum store_edit_script script,
                    struct store_edit_call *calls, size_t n);
void store_edit_release(struct store_edit_call *calls, size_t n);

/* Parts of an answer: its word, the number or text at a later index (0 or "" if absent). */
const char *store_edit_word(const struct store_edit_call *call);
int64_t store_edit_number(const struct store_edit_call *call, size_t i);
const char *store_edit_text(const struct store_edit_call *call, size_t i);

/* Deletes all registers noted as dropped, slice by slice. */
int store_edit_drop(struct store_edit *edit);

/* Call before writing to a shard by other means than a script of these. */
void store_edit_note_write(struct store_edit *edit, uint32_t shard);

/* Waits until a replica has what was written since the last such wait, for each node that has
 * replicas. Returns 0, or -1: a node may lose it in a failover. */
int store_edit_replicate(struct store_edit *edit);

#endif
