/* Redis as the operator's command sees it: one synchronous connection. Calls of a few ms at most.
 * Every function returns 0, or -1 with a sentence from store_view_error. One thread. */
#ifndef TALLY_CLI_STORE_VIEW_H
#define TALLY_CLI_STORE_VIEW_H

#include "audit/audit_compare.h"
#include "audit/audit_count.h"
#include "core/article_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_VIEW_PAUSE_MS 2000
#define STORE_VIEW_SHA_BYTES 41
#define STORE_VIEW_KEY_BYTES 17

struct store_view;

/* NULL with a sentence in `error`. */
struct store_view *store_view_open(const char *host, int port, const char *password, char *error,
                                   size_t error_bytes);
void store_view_free(struct store_view *view);
const char *store_view_error(const struct store_view *view);

/* What tally:store says. */
uint64_t store_view_id(const struct store_view *view);
uint32_t store_view_shards(const struct store_view *view);
const struct audit_kinds *store_view_kinds(const struct store_view *view);
/* The fingerprint of the reader key that it is counted with: 16 hex digits. */
const char *store_view_key(const struct store_view *view);

/* Any command, for who changes what Redis holds. One after another: the answer is the caller's
 * (freeReplyObject); NULL where it is an error or does not come. */
redisReply *store_view_ask(struct store_view *view, int argc, const char **argv,
                           const size_t *bytes);
/* Several at once: as many pulls as pushes, in their order. */
int store_view_push(struct store_view *view, int argc, const char **argv, const size_t *bytes);
redisReply *store_view_pull(struct store_view *view);
/* Loads a script. `sha` becomes the name by which EVALSHA calls it. */
int store_view_load(struct store_view *view, const char *script, size_t script_bytes,
                    char sha[STORE_VIEW_SHA_BYTES]);

/* Calls `fn` with articles of the shard, some perhaps twice; ends where it returns another than 0,
 * with that. */
int store_view_articles(struct store_view *view, uint32_t shard,
                        int (*fn)(void *user, const char *article, size_t bytes), void *user);

/* Calls `fn` with the fields and values of `tally:{shard}:<name>`: rings, books. */
int store_view_hash(struct store_view *view, uint32_t shard, const char *name,
                    void (*fn)(void *user, uint32_t shard, const char *field, const char *value,
                               size_t value_bytes),
                    void *user);

/* Counts an article's registers. Where it changes meanwhile and needs several slices, its shard is
 * paused, unless the caller has done so. *step is AUDIT_COUNT_DONE, _ABSENT, _DAMAGED, or _CHANGED
 * where it could not be counted in the time of a pause. */
int store_view_count(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct audit_count *count, enum audit_count_step *step);

enum store_view_state { STORE_VIEW_NO_STATE, STORE_VIEW_STATE, STORE_VIEW_BAD_STATE };

/* An article's state (INTERFACES.md 2.9), as the feed stored it. */
struct store_view_stored {
    enum store_view_state found;
    struct article_state state; /* STORE_VIEW_STATE */
    size_t text_bytes;          /* likewise: as it stands there, with a NUL */
    char text[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
};

int store_view_state(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct store_view_stored *stored);

/* Has the applying of a shard pause, for STORE_VIEW_PAUSE_MS at most. Waits for another's pause.
 * *paused is false where it was not to be had in twice that time. */
int store_view_pause(struct store_view *view, uint32_t shard, bool *paused);
int store_view_resume(struct store_view *view, uint32_t shard);

/* Of all counts so far. */
struct store_view_stats {
    uint64_t registers, slices, largest_slice, pauses, paused_ms;
};
struct store_view_stats store_view_stats(const struct store_view *view);

#endif
