/* What the operator's commands read of the store, and the pause of a shard. Whatever spans several
 * calls compares generations (redis_nodes.h): a cursor, a count and a pause are of one node. */
#include "store_view.h"

#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FORMAT 1
#define SLICE 1000 /* registers a call: under a millisecond of Redis's time */
#define SCAN "400" /* articles a call */
#define SHA_DIGITS (STORE_NODES_SHA_BYTES - 1)
#define RETRIES 3 /* of a disturbed count, in a pause; of a list, whose node changed */

struct store_view {
    struct store_nodes *nodes;
    struct error error;
    char count_sha[SHA_DIGITS + 1], pause_sha[SHA_DIGITS + 1];
    char whose[17];
    uint64_t id;
    unsigned long format;
    char key[STORE_VIEW_KEY_BYTES];
    uint32_t shards;
    struct audit_kinds kinds;
    bool placed, paused;
    uint64_t paused_at_ms, paused_generation;
    struct store_view_stats stats;
};

/* One that may be given twice. NULL with the reason in `error`. */
static redisReply *ask_place(struct store_view *view, unsigned place, int argc, const char **argv,
                             const size_t *bytes)
{
    redisReply *reply = store_nodes_ask(view->nodes, place, argc, argv, bytes);
    if (reply == NULL)
        error_set(&view->error, "%s", store_nodes_error(view->nodes));
    return reply;
}

static redisReply *ask_words(struct store_view *view, unsigned place, int argc, const char **argv)
{
    size_t bytes[16];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    return ask_place(view, place, argc, argv, bytes);
}

static uint64_t generation(const struct store_view *view, uint32_t shard)
{
    return redis_nodes_generation(store_nodes_redis(view->nodes), shard);
}

static int strange(struct store_view *view, redisReply *reply, const char *what)
{
    freeReplyObject(reply);
    error_set(&view->error, "redis: %s: unexpected reply", what);
    return -1;
}

/* --- opening --- */

static void take_field(struct store_view *view, const char *name, const char *value)
{
    if (strcmp(name, "id") == 0)
        view->id = strtoull(value, NULL, 16);
    else if (strcmp(name, "shards") == 0)
        view->shards = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "format") == 0)
        view->format = strtoul(value, NULL, 10);
    else if (strcmp(name, "placed") == 0)
        view->placed = strcmp(value, "1") == 0;
    else if (strcmp(name, "key") == 0)
        snprintf(view->key, sizeof view->key, "%s", value);
    else if (strncmp(name, "kind:", 5) == 0) {
        unsigned long id = strtoul(value, NULL, 10);
        if (id >= 1 && id <= KIND_MAX && kind_name_valid(name + 5, strlen(name + 5)))
            snprintf(view->kinds.name[id], sizeof view->kinds.name[id], "%s", name + 5);
    }
}

static int read_store(struct store_view *view)
{
    char key[REDIS_KEY_BYTES];
    store_nodes_key(view->nodes, key, REDIS_PLACE_STORE, NULL);
    const char *argv[] = {"HGETALL", key};
    redisReply *reply = ask_words(view, REDIS_PLACE_STORE, 2, argv);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY)
        return strange(view, reply, "tally:store");
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        take_field(view, reply->element[i]->str, reply->element[i + 1]->str);
    freeReplyObject(reply);
    if (view->id == 0 || view->shards < 1 || view->shards > 64) {
        error_set(&view->error, "redis: it holds no store of Tally's");
        return -1;
    }
    if (view->format != FORMAT) {
        error_set(&view->error, "redis: the store is of format %lu, not %d", view->format, FORMAT);
        return -1;
    }
    return 0;
}

static int store_view_load(struct store_view *view, const unsigned char *script,
                           unsigned long script_bytes, char sha[STORE_NODES_SHA_BYTES])
{
    if (store_nodes_load(view->nodes, (const char *)script, script_bytes, sha) == 0)
        return 0;
    return error_set(&view->error, "%s", store_nodes_error(view->nodes));
}

static int wait_for_store(struct store_view *view)
{
    if (store_nodes_wait(view->nodes, REDIS_PLACE_STORE) == 0)
        return 0;
    return error_set(&view->error, "%s", store_nodes_error(view->nodes));
}

struct store_view *store_view_open(const struct links *links, const char *password,
                                   struct error *error)
{
    uint64_t whose = 0;
    struct store_view *view = calloc(1, sizeof *view);
    if (view == NULL || getrandom(&whose, sizeof whose, 0) != (ssize_t)sizeof whose) {
        error_set(error, "no memory, or no random number");
        free(view);
        return NULL;
    }
    snprintf(view->whose, sizeof view->whose, "%016" PRIx64, whose);
    view->nodes = store_nodes_new(links, password, error);
    if (view->nodes == NULL)
        goto fail;
    if (wait_for_store(view) != 0 || read_store(view) != 0 ||
        store_view_load(view, count_lua, count_lua_bytes, view->count_sha) != 0 ||
        store_view_load(view, pause_lua, pause_lua_bytes, view->pause_sha) != 0) {
        *error = view->error;
        goto fail;
    }
    return view;
fail:
    store_view_free(view);
    return NULL;
}

void store_view_free(struct store_view *view)
{
    if (view == NULL)
        return;
    store_nodes_free(view->nodes);
    free(view);
}

const char *store_view_error(const struct store_view *view)
{
    return view->error.text;
}

uint64_t store_view_id(const struct store_view *view)
{
    return view->id;
}

uint32_t store_view_shards(const struct store_view *view)
{
    return view->shards;
}

const struct audit_kinds *store_view_kinds(const struct store_view *view)
{
    return &view->kinds;
}

bool store_view_placed(const struct store_view *view)
{
    return view->placed;
}

const char *store_view_key(const struct store_view *view)
{
    return view->key;
}

struct store_view_stats store_view_stats(const struct store_view *view)
{
    return view->stats;
}

/* --- calls for others --- */

struct store_nodes *store_view_nodes(struct store_view *view)
{
    return view->nodes;
}

redisReply *store_view_ask(struct store_view *view, uint32_t shard, int argc, const char **argv,
                           const size_t *bytes)
{
    return ask_place(view, shard, argc, argv, bytes);
}

int store_view_wait(struct store_view *view)
{
    for (uint32_t shard = 0; shard < view->shards; shard++)
        if (store_nodes_wait(view->nodes, shard) != 0)
            return error_set(&view->error, "%s", store_nodes_error(view->nodes));
    return 0;
}

uint64_t store_view_changes(struct store_view *view)
{
    uint64_t changes = 0;
    for (uint32_t shard = 0; shard < view->shards; shard++)
        changes += generation(view, shard);
    return changes;
}

/* --- listing --- */

/* The next part of the list. Returns 0, -1, or what `fn` answered. */
static int list_some(struct store_view *view, uint32_t shard, char cursor[24],
                     int (*fn)(void *user, const char *article, size_t bytes), void *user)
{
    char key[REDIS_KEY_BYTES];
    int answer = 0;
    store_nodes_key(view->nodes, key, shard, "heads");
    const char *argv[] = {"HSCAN", key, cursor, "COUNT", SCAN};
    redisReply *reply = ask_words(view, shard, 5, argv);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return strange(view, reply, "HSCAN");
    const redisReply *some = reply->element[1];
    for (size_t i = 0; i + 1 < some->elements && answer == 0; i += 2)
        answer = fn(user, some->element[i]->str, (size_t)some->element[i]->len);
    snprintf(cursor, 24, "%s", reply->element[0]->str);
    freeReplyObject(reply);
    return answer;
}

/* A cursor means something to the node only that gave it. */
int store_view_articles(struct store_view *view, uint32_t shard,
                        int (*fn)(void *user, const char *article, size_t bytes), void *user)
{
    for (int i = 0; i < RETRIES; i++) {
        char cursor[24] = "0";
        int answer = 0;
        if (store_nodes_wait(view->nodes, shard) != 0)
            return error_set(&view->error, "%s", store_nodes_error(view->nodes));
        const uint64_t begun = generation(view, shard);
        do
            answer = list_some(view, shard, cursor, fn, user);
        while (answer == 0 && strcmp(cursor, "0") != 0 && generation(view, shard) == begun);
        if (answer != 0 || generation(view, shard) == begun)
            return answer;
    }
    return error_set(&view->error,
                     "redis: shard %" PRIu32 " keeps moving from node to node: try again later",
                     shard);
}

int store_view_hash(struct store_view *view, uint32_t shard, const char *name,
                    void (*fn)(void *user, uint32_t shard, const char *field, const char *value,
                               size_t value_bytes),
                    void *user)
{
    char key[REDIS_KEY_BYTES];
    store_nodes_key(view->nodes, key, shard, name);
    const char *argv[] = {"HGETALL", key};
    redisReply *reply = ask_words(view, shard, 2, argv);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY)
        return strange(view, reply, "HGETALL");
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        fn(user, shard, reply->element[i]->str, reply->element[i + 1]->str,
           (size_t)reply->element[i + 1]->len);
    freeReplyObject(reply);
    return 0;
}

int store_view_replication(struct store_view *view, uint32_t shard,
                           struct server_info_replication *out)
{
    const char *argv[] = {"INFO", "replication"};
    redisReply *reply = ask_words(view, shard, 2, argv);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_STRING || server_info_replication(out, reply->str) != 0)
        return strange(view, reply, "INFO replication");
    freeReplyObject(reply);
    return 0;
}

int store_view_state(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct store_view_stored *stored)
{
    char key[REDIS_KEY_BYTES];
    store_nodes_key(view->nodes, key, shard, "states");
    const char *argv[] = {"HGET", key, article};
    const size_t argv_bytes[] = {4, strlen(key), bytes};
    redisReply *reply = ask_place(view, shard, 3, argv, argv_bytes);
    if (reply == NULL)
        return -1;
    stored->text_bytes = 0;
    if (reply->type == REDIS_REPLY_NIL) {
        stored->found = STORE_VIEW_NO_STATE;
    } else if (reply->type == REDIS_REPLY_STRING && (size_t)reply->len < sizeof stored->text &&
               article_state_parse(&stored->state, article, bytes, reply->str,
                                   (size_t)reply->len) == 0 &&
               stored->state.version > 0) {
        stored->found = STORE_VIEW_STATE;
        stored->text_bytes = (size_t)reply->len;
        memcpy(stored->text, reply->str, stored->text_bytes);
    } else {
        stored->found = STORE_VIEW_BAD_STATE;
    }
    stored->text[stored->text_bytes] = '\0';
    freeReplyObject(reply);
    return 0;
}

/* --- the pause --- */

/* The answer of pause.lua: its word's first letter and how many ms; 0 if it failed. */
static char ask_pause(struct store_view *view, uint32_t shard, unsigned ms, unsigned *answered_ms)
{
    char key[REDIS_KEY_BYTES], text[12];
    store_nodes_key(view->nodes, key, shard, "meta");
    snprintf(text, sizeof text, "%u", ms);
    const char *argv[] = {"EVALSHA", view->pause_sha, "1", key, view->whose, text};
    redisReply *reply = ask_words(view, shard, 6, argv);
    if (reply == NULL)
        return 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        (void)strange(view, reply, "pause");
        return 0;
    }
    char word = reply->element[0]->str[0];
    *answered_ms = reply->elements > 1 ? (unsigned)reply->element[1]->integer : 0;
    freeReplyObject(reply);
    return word;
}

int store_view_pause(struct store_view *view, uint32_t shard, bool *paused)
{
    uint64_t limit_ms = clock_monotonic_ms() + 2 * (uint64_t)STORE_VIEW_PAUSE_MS + 500;
    for (;;) {
        unsigned ms = 0;
        char word = ask_pause(view, shard, STORE_VIEW_PAUSE_MS, &ms);
        *paused = word == 'p';
        if (word == 0)
            return -1;
        if (*paused) {
            view->paused = true;
            view->paused_at_ms = clock_monotonic_ms();
            view->paused_generation = generation(view, shard);
            view->stats.pauses++;
            return 0;
        }
        if (clock_monotonic_ms() + ms > limit_ms)
            return 0;
        store_nodes_nap(view->nodes, ms);
    }
}

int store_view_resume(struct store_view *view, uint32_t shard)
{
    unsigned ms;
    if (!view->paused)
        return 0;
    view->paused = false;
    view->stats.paused_ms += clock_monotonic_ms() - view->paused_at_ms;
    return ask_pause(view, shard, 0, &ms) == 0 ? -1 : 0;
}

bool store_view_pause_holds(struct store_view *view, uint32_t shard)
{
    return view->paused && view->paused_generation == generation(view, shard);
}

/* --- counting --- */

/* Waits, and again, while count.lua says that the shard is on its way to another node. */
static int count_slice(struct store_view *view, uint32_t shard, struct audit_count *count,
                       enum audit_count_step *step)
{
    const char *argv[2 + AUDIT_COUNT_ARGUMENTS] = {"EVALSHA", view->count_sha};
    size_t bytes[2 + AUDIT_COUNT_ARGUMENTS] = {7, SHA_DIGITS};
    const uint64_t limit_ms = clock_monotonic_ms() + STORE_NODES_MOVE_MS;
    audit_count_arguments(count, argv + 2, bytes + 2);
    for (;;) {
        redisReply *reply = ask_place(view, shard, 2 + AUDIT_COUNT_ARGUMENTS, argv, bytes);
        if (reply == NULL)
            return -1;
        *step = audit_count_answer(count, reply);
        if (*step == AUDIT_COUNT_FAILED)
            return strange(view, reply, "count");
        freeReplyObject(reply);
        if (!count->moving)
            return 0;
        if (clock_monotonic_ms() > limit_ms)
            return error_set(&view->error,
                             "redis: shard %" PRIu32 " is moving to another node: try again later",
                             shard);
        store_nodes_nap(view->nodes, STORE_NODES_AGAIN_MS);
    }
}

static int count_once(struct store_view *view, const char *article, size_t article_bytes,
                      uint32_t shard, struct audit_count *count, enum audit_count_step *step)
{
    if (store_nodes_wait(view->nodes, shard) != 0)
        return error_set(&view->error, "%s", store_nodes_error(view->nodes));
    const uint64_t begun = generation(view, shard);
    audit_count_begin_in(count, store_nodes_prefix(view->nodes), article, article_bytes, shard,
                         SLICE);
    do {
        if (count_slice(view, shard, count, step) != 0)
            return -1;
        if (count->slices > 1 && generation(view, shard) != begun)
            *step = AUDIT_COUNT_CHANGED; /* its cursor was another node's */
    } while (*step == AUDIT_COUNT_MORE);
    view->stats.registers += count->registers;
    view->stats.slices += count->slices;
    if (count->largest_slice > view->stats.largest_slice)
        view->stats.largest_slice = count->largest_slice;
    return 0;
}

int store_view_count(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct audit_count *count, enum audit_count_step *step)
{
    bool own = false;
    int result = count_once(view, article, bytes, shard, count, step);
    if (result != 0 || *step != AUDIT_COUNT_CHANGED)
        return result;
    if (!view->paused && store_view_pause(view, shard, &own) != 0)
        return -1;
    for (int i = 0; i < RETRIES && result == 0 && *step == AUDIT_COUNT_CHANGED; i++)
        result = count_once(view, article, bytes, shard, count, step);
    if (own && store_view_resume(view, shard) != 0)
        result = -1;
    return result;
}
