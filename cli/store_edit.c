/* Calls the operator's scripts, in pipelines over the nodes of their shards, and waits
 * for replicas of their writes. */
#include "store_edit.h"

#include "server_info.h"

#include "core/error.h"
#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPTS 4
#define KEYS 6
#define PAUSED_MAX_MS 30000 /* a pause lasts 2 s at most, with as long a gap between two */
#define DROP_BUCKETS "250"  /* a call: 0.3 ms of Redis */
#define REPLICATE_MS "1000"
#define SHARDS_MAX 64

extern const unsigned char reset_lua[], base_lua[], erase_lua[], drop_lua[];
extern const unsigned long reset_lua_bytes, base_lua_bytes, erase_lua_bytes, drop_lua_bytes;

struct store_edit {
    struct store_view *store;
    struct store_nodes *nodes;
    char sha[SCRIPTS][STORE_NODES_SHA_BYTES];
    bool written[SHARDS_MAX];        /* since the last wait for replicas, … */
    uint64_t generation[SHARDS_MAX]; /* … in this generation */
    struct error error;
};

/* --- making --- */

static int store_edit_fail(struct store_edit *edit, const char *why)
{
    error_set(&edit->error, "%s", why);
    return -1;
}

static int store_edit_load(struct store_edit *edit, enum store_edit_script which,
                           const unsigned char *script, size_t bytes)
{
    int rc = store_nodes_load(edit->nodes, (const char *)script, bytes, edit->sha[which]);
    return rc == 0 ? 0 : store_edit_fail(edit, store_nodes_error(edit->nodes));
}

struct store_edit *store_edit_new(struct store_view *store, struct error *error)
{
    struct store_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    edit->store = store;
    edit->nodes = store_view_nodes(store);
    if (store_edit_load(edit, STORE_EDIT_RESET, reset_lua, reset_lua_bytes) != 0 ||
        store_edit_load(edit, STORE_EDIT_BASE, base_lua, base_lua_bytes) != 0 ||
        store_edit_load(edit, STORE_EDIT_ERASE, erase_lua, erase_lua_bytes) != 0 ||
        store_edit_load(edit, STORE_EDIT_DROP, drop_lua, drop_lua_bytes) != 0) {
        error_set(error, "%s", edit->error.text);
        free(edit);
        return NULL;
    }
    return edit;
}

void store_edit_free(struct store_edit *edit)
{
    free(edit);
}

const char *store_edit_error(const struct store_edit *edit)
{
    return edit->error.text;
}

/* --- calling --- */

static int push(struct store_edit *edit, enum store_edit_script script,
                const struct store_edit_call *call)
{
    static const char *const names[KEYS] = {"heads", "base",   "changed",
                                            "meta",  "states", "dropped"};
    char key[KEYS][REDIS_KEY_BYTES], shard[12];
    const char *argv[3 + KEYS + 1 + STORE_EDIT_ARGUMENTS_MAX] = {"EVALSHA", edit->sha[script], "6"};
    size_t bytes[3 + KEYS + 1 + STORE_EDIT_ARGUMENTS_MAX], n = 3;
    for (int i = 0; i < KEYS; i++) {
        store_nodes_key(edit->nodes, key[i], call->shard, names[i]);
        argv[n++] = key[i];
    }
    snprintf(shard, sizeof shard, "%" PRIu32, call->shard);
    argv[n++] = shard;
    for (size_t i = 0; i < n; i++)
        bytes[i] = strlen(argv[i]);
    for (int i = 0; i < call->argc && i < STORE_EDIT_ARGUMENTS_MAX; i++) {
        argv[n] = call->argv[i];
        bytes[n++] = call->bytes[i];
    }
    return store_nodes_push(edit->nodes, call->shard, (int)n, argv, bytes);
}

/* If several generations of a shard were written to, the first counts: the others may lack it. */
void store_edit_note_write(struct store_edit *edit, uint32_t shard)
{
    if (edit->written[shard])
        return;
    edit->written[shard] = true;
    edit->generation[shard] = redis_nodes_generation(store_nodes_redis(edit->nodes), shard);
}

struct waiting {
    unsigned paused_ms; /* the longest that a pause may last; 0 none */
    bool away;          /* a shard has no node, or moves */
};

/* Receives one answer. If nothing was done yet, there is none, and `waiting` has the reason. */
static int pull(struct store_edit *edit, struct store_edit_call *call, struct waiting *waiting)
{
    redisReply *reply;
    enum store_nodes_result result = store_nodes_pull(edit->nodes, &reply);
    if (result == STORE_NODES_AGAIN) {
        waiting->away = true;
        return store_edit_fail(edit, store_nodes_error(edit->nodes));
    }
    if (result == STORE_NODES_LOST)
        return error_set(&edit->error, "%s: cannot tell whether it was done",
                         store_nodes_error(edit->nodes));
    if (result == STORE_NODES_FAILED)
        return store_edit_fail(edit, store_nodes_error(edit->nodes));
    call->reply = reply;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return store_edit_fail(edit, "redis: unexpected reply");
    const char *word = reply->element[0]->str;
    if (strcmp(word, "paused") == 0) {
        unsigned ms = (unsigned)store_edit_number(call, 1);
        if (ms >= waiting->paused_ms)
            waiting->paused_ms = ms + 1;
        store_edit_release(call, 1);
    } else if (strcmp(word, "moving") == 0) {
        waiting->away = true;
        (void)error_set(&edit->error, "redis: shard %" PRIu32 " is moving to another node",
                        call->shard);
        store_edit_release(call, 1);
    }
    return 0;
}

/* Sends what has no answer yet, and receives all answers, even after a failure: the next pull must
 * not find them. */
static int call_some(struct store_edit *edit, enum store_edit_script script,
                     struct store_edit_call *calls, size_t n, struct waiting *waiting)
{
    bool asked[STORE_EDIT_CALLS_MAX] = {false};
    struct error first = {{0}};
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        if (calls[i].reply != NULL)
            continue;
        result = push(edit, script, &calls[i]);
        asked[i] = result == 0;
        store_edit_note_write(edit, calls[i].shard);
        if (result != 0)
            error_set(&first, "%s", store_nodes_error(edit->nodes));
    }
    for (size_t i = 0; i < n; i++) {
        struct waiting one = {0};
        if (!asked[i])
            continue;
        int rc = pull(edit, &calls[i], &one);
        if (rc != 0 && !one.away && result == 0) {
            first = edit->error;
            result = -1;
        }
        waiting->away = waiting->away || one.away;
        if (one.paused_ms > waiting->paused_ms)
            waiting->paused_ms = one.paused_ms;
    }
    if (result != 0)
        edit->error = first;
    return result;
}

/* Lets each shard's node be known before a pipeline begins. */
static int wait_for_nodes(struct store_edit *edit, const struct store_edit_call *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (store_nodes_wait(edit->nodes, calls[i].shard) != 0)
            return store_edit_fail(edit, store_nodes_error(edit->nodes));
    return 0;
}

static int call_all(struct store_edit *edit, enum store_edit_script script,
                    struct store_edit_call *calls, size_t n)
{
    const uint64_t begun_ms = clock_monotonic_ms();
    const uint64_t away_limit_ms = begun_ms + STORE_NODES_WAIT_MS;
    for (;;) {
        struct waiting waiting = {0};
        if (wait_for_nodes(edit, calls, n) != 0 || call_some(edit, script, calls, n, &waiting) != 0)
            return -1;
        if (!waiting.away && waiting.paused_ms == 0)
            return 0;
        uint64_t now_ms = clock_monotonic_ms();
        if (waiting.away && now_ms > away_limit_ms)
            return -1; /* the last pull said why */
        if (now_ms + waiting.paused_ms > begun_ms + PAUSED_MAX_MS)
            return store_edit_fail(
                edit, "the shard's applying was paused again and again: try again later");
        store_nodes_nap(edit->nodes, waiting.away ? STORE_NODES_AGAIN_MS : waiting.paused_ms);
    }
}

int store_edit_call(struct store_edit *edit, enum store_edit_script script,
                    struct store_edit_call *calls, size_t n)
{
    int result = call_all(edit, script, calls, n);
    if (result != 0)
        store_edit_release(calls, n);
    return result;
}

void store_edit_release(struct store_edit_call *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (calls[i].reply != NULL)
            freeReplyObject(calls[i].reply);
        calls[i].reply = NULL;
    }
}

const char *store_edit_word(const struct store_edit_call *call)
{
    return call->reply == NULL ? "" : call->reply->element[0]->str;
}

int64_t store_edit_number(const struct store_edit_call *call, size_t i)
{
    const redisReply *reply = call->reply;
    return i < reply->elements && reply->element[i]->type == REDIS_REPLY_INTEGER
               ? reply->element[i]->integer
               : 0;
}

const char *store_edit_text(const struct store_edit_call *call, size_t i)
{
    const redisReply *reply = call->reply;
    return i < reply->elements && reply->element[i]->type == REDIS_REPLY_STRING
               ? reply->element[i]->str
               : "";
}

/* --- replicas --- */

/* The node's replicas; -1 if it does not say. */
static int replicas_of(struct store_edit *edit, uint32_t shard)
{
    struct server_info_replication replication;
    if (store_view_replication(edit->store, shard, &replication) != 0)
        return -1;
    return (int)replication.replicas;
}

static int store_edit_not_replicated(struct store_edit *edit, uint32_t shard, const char *why)
{
    return error_set(&edit->error,
                     "done, but not replicated: shard %" PRIu32 ": %s; a failover may lose it, so "
                     "look at it again later",
                     shard, why);
}

/* WAIT is about what this connection wrote, so another generation cannot answer it. */
static int replicate_shard(struct store_edit *edit, uint32_t shard)
{
    struct redis_nodes *nodes = store_nodes_redis(edit->nodes);
    const char *argv[] = {"WAIT", "1", REPLICATE_MS};
    const size_t bytes[] = {4, 1, strlen(REPLICATE_MS)};
    int replicas = replicas_of(edit, shard);
    if (replicas < 0)
        return store_edit_not_replicated(edit, shard, store_view_error(edit->store));
    if (redis_nodes_generation(nodes, shard) != edit->generation[shard])
        return store_edit_not_replicated(edit, shard, "its node is another one by now");
    if (replicas == 0)
        return 0;
    redisReply *reply = store_nodes_ask(edit->nodes, shard, 3, argv, bytes);
    if (reply == NULL)
        return store_edit_not_replicated(edit, shard, store_nodes_error(edit->nodes));
    bool enough = reply->type == REDIS_REPLY_INTEGER && reply->integer >= 1;
    freeReplyObject(reply);
    if (!enough)
        return store_edit_not_replicated(edit, shard, "no replica had it within 1 s");
    if (redis_nodes_generation(nodes, shard) != edit->generation[shard])
        return store_edit_not_replicated(edit, shard, "its node is another one by now");
    return 0;
}

int store_edit_replicate(struct store_edit *edit)
{
    int result = 0;
    for (uint32_t shard = 0; shard < SHARDS_MAX; shard++) {
        if (!edit->written[shard])
            continue;
        edit->written[shard] = false;
        if (result == 0)
            result = replicate_shard(edit, shard);
    }
    return result;
}

/* --- dropped registers --- */

struct dropping {
    struct store_edit *edit;
    int result;
};

static void drop_one(void *user, uint32_t shard, const char *number, const char *shape,
                     size_t shape_bytes)
{
    struct dropping *dropping = user;
    char from[24] = "0";
    (void)shape;
    (void)shape_bytes;
    for (bool more = true; more && dropping->result == 0;) {
        const char *argv[] = {number, from, DROP_BUCKETS};
        const size_t bytes[] = {strlen(number), strlen(from), strlen(DROP_BUCKETS)};
        struct store_edit_call call = {.shard = shard, .argc = 3, .argv = argv, .bytes = bytes};
        dropping->result = store_edit_call(dropping->edit, STORE_EDIT_DROP, &call, 1);
        more = dropping->result == 0 && strcmp(store_edit_word(&call), "more") == 0;
        if (more)
            snprintf(from, sizeof from, "%" PRId64, store_edit_number(&call, 1));
        store_edit_release(&call, 1);
    }
}

int store_edit_drop(struct store_edit *edit)
{
    struct dropping dropping = {.edit = edit};
    for (uint32_t i = 0; i < store_view_shards(edit->store) && dropping.result == 0; i++)
        if (store_view_hash(edit->store, i, "dropped", drop_one, &dropping) != 0)
            return store_edit_fail(edit, store_view_error(edit->store));
    return dropping.result;
}
