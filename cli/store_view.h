/* The store, in Redis or a cluster, for the operator's command: each call waits for its answer
 * (store_nodes.h). Calls take a few ms, or a few seconds while a shard is on its way to another
 * node. Every function returns 0, or -1 with a sentence from store_view_error. One thread. */
#ifndef TALLY_CLI_STORE_VIEW_H
#define TALLY_CLI_STORE_VIEW_H

#include "audit/audit_compare.h"
#include "audit/audit_count.h"
#include "core/article_state.h"
#include "core/error.h"
#include "server_info.h"
#include "store_nodes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_VIEW_PAUSE_MS 2000
#define STORE_VIEW_KEY_BYTES 17

struct store_view;

/* Waits until the node of `tally:store` is there, and reads what it says. `links` and `password` as
 * for store_nodes_new. NULL with a sentence in `error`. */
struct store_view *store_view_open(const struct links *links, const char *password,
                                   struct error *error);
void store_view_free(struct store_view *view);
const char *store_view_error(const struct store_view *view);

/* What tally:store says. */
uint64_t store_view_id(const struct store_view *view);
uint32_t store_view_shards(const struct store_view *view);
const struct audit_kinds *store_view_kinds(const struct store_view *view);
/* Whether each shard names the store (FORMATS.md 5): one that does not has lost its data. */
bool store_view_placed(const struct store_view *view);
/* The fingerprint of the reader key used for counting: 16 hex digits. */
const char *store_view_key(const struct store_view *view);

/* For callers that send their own commands. */
struct store_nodes *store_view_nodes(struct store_view *view);

/* A command about a shard, as store_nodes_ask: it may be given twice. NULL: it failed. */
redisReply *store_view_ask(struct store_view *view, uint32_t shard, int argc, const char **argv,
                           const size_t *bytes);

/* Waits until every shard has a node. */
int store_view_wait(struct store_view *view);

/* Rises whenever any shard gets another node, or its link was lost: what was seen of it before may
 * not hold any more. */
uint64_t store_view_changes(struct store_view *view);

/* Calls `fn` with articles of the shard, some perhaps twice. Stops when `fn` returns a value other
 * than 0, and returns that value. */
int store_view_articles(struct store_view *view, uint32_t shard,
                        int (*fn)(void *user, const char *article, size_t bytes), void *user);

/* Calls `fn` with the fields and values of `tally:{shard}:<name>`: rings, books. */
int store_view_hash(struct store_view *view, uint32_t shard, const char *name,
                    void (*fn)(void *user, uint32_t shard, const char *field, const char *value,
                               size_t value_bytes),
                    void *user);

/* Counts an article's registers. Waits while its shard is on its way to another node. If the
 * article changes meanwhile and needs several slices, pauses its shard, unless the caller has
 * paused it. *step is AUDIT_COUNT_DONE, _ABSENT, _DAMAGED, or _CHANGED if it could not be counted
 * within a pause. */
int store_view_count(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct audit_count *count, enum audit_count_step *step);

/* What the shard's node says of its replicas. */
int store_view_replication(struct store_view *view, uint32_t shard,
                           struct server_info_replication *out);

enum store_view_state { STORE_VIEW_NO_STATE, STORE_VIEW_STATE, STORE_VIEW_BAD_STATE };

/* An article's state (INTERFACES.md 2.9), as the feed stored it. */
struct store_view_stored {
    enum store_view_state found;
    struct article_state state; /* STORE_VIEW_STATE */
    size_t text_bytes;          /* likewise: the stored text, with a NUL */
    char text[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
};

int store_view_state(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct store_view_stored *stored);

/* Pauses the applying of a shard, for STORE_VIEW_PAUSE_MS at most. Waits for the end of another
 * auditor's pause. *paused is false if the pause did not succeed within twice that time. */
int store_view_pause(struct store_view *view, uint32_t shard, bool *paused);
int store_view_resume(struct store_view *view, uint32_t shard);

/* Whether the node that was asked for the pause still has the shard: another one may not know of
 * it. */
bool store_view_pause_holds(struct store_view *view, uint32_t shard);

/* Of all counts so far. */
struct store_view_stats {
    uint64_t registers, slices, largest_slice, pauses, paused_ms;
};
struct store_view_stats store_view_stats(const struct store_view *view);

#endif
