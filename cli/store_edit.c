#include "store_edit.h"

#include "core/error.h"
#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCRIPTS 4
#define KEYS 6
#define KEY_BYTES 32
#define PAUSED_MAX_MS 30000 /* a pause lasts 2 s at most, with as long a gap between two */
#define DROP_BUCKETS "250"  /* a call: 0.3 ms of Redis */

extern const unsigned char reset_lua[], base_lua[], erase_lua[], drop_lua[];
extern const unsigned long reset_lua_bytes, base_lua_bytes, erase_lua_bytes, drop_lua_bytes;

struct store_edit {
    struct store_view *store;
    char sha[SCRIPTS][STORE_VIEW_SHA_BYTES];
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
    int rc = store_view_load(edit->store, (const char *)script, bytes, edit->sha[which]);
    return rc == 0 ? 0 : store_edit_fail(edit, store_view_error(edit->store));
}

struct store_edit *store_edit_new(struct store_view *store, struct error *error)
{
    struct store_edit *edit = calloc(1, sizeof *edit);
    if (edit == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    edit->store = store;
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
    char key[KEYS][KEY_BYTES], shard[12];
    const char *argv[3 + KEYS + 1 + STORE_EDIT_ARGUMENTS_MAX] = {"EVALSHA", edit->sha[script], "6"};
    size_t bytes[3 + KEYS + 1 + STORE_EDIT_ARGUMENTS_MAX], n = 3;
    for (int i = 0; i < KEYS; i++) {
        snprintf(key[i], sizeof key[i], "tally:{%" PRIu32 "}:%s", call->shard, names[i]);
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
    return store_view_push(edit->store, (int)n, argv, bytes);
}

/* Receives one answer. If the shard was paused there is no answer, and *wait_ms is the longest that
 * the pause may last. */
static int pull(struct store_edit *edit, struct store_edit_call *call, unsigned *wait_ms)
{
    redisReply *reply = store_view_pull(edit->store);
    if (reply == NULL)
        return store_edit_fail(edit, store_view_error(edit->store));
    call->reply = reply;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return store_edit_fail(edit, "redis: unexpected reply");
    if (strcmp(reply->element[0]->str, "paused") == 0) {
        unsigned ms = (unsigned)store_edit_number(call, 1);
        if (ms >= *wait_ms)
            *wait_ms = ms + 1;
        store_edit_release(call, 1);
    }
    return 0;
}

static void store_edit_nap(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static int call_all(struct store_edit *edit, enum store_edit_script script,
                    struct store_edit_call *calls, size_t n)
{
    bool asked[STORE_EDIT_CALLS_MAX] = {false};
    uint64_t limit_ms = clock_monotonic_ms() + PAUSED_MAX_MS;
    for (;;) {
        unsigned wait_ms = 0;
        for (size_t i = 0; i < n; i++) {
            asked[i] = calls[i].reply == NULL;
            if (asked[i] && push(edit, script, &calls[i]) != 0)
                return store_edit_fail(edit, store_view_error(edit->store));
        }
        for (size_t i = 0; i < n; i++)
            if (asked[i] && pull(edit, &calls[i], &wait_ms) != 0)
                return -1;
        if (wait_ms == 0)
            return 0;
        if (clock_monotonic_ms() + wait_ms > limit_ms)
            return store_edit_fail(edit, "the shard's applying is paused, and again and again");
        store_edit_nap(wait_ms);
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
