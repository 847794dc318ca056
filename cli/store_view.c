#include "store_view.h"

#include "core/error.h"
#include "daemon/clock.h"
#include "redis/redis_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FORMAT 1
#define ANSWER_S 5
#define SLICE 1000 /* registers a call: under a millisecond of Redis's time */
#define SCAN "400" /* articles a call */
#define SHA_DIGITS (STORE_VIEW_SHA_BYTES - 1)
#define RETRIES 3 /* of a disturbed count, in a pause */

struct store_view {
    redisContext *redis;
    struct error error;
    char count_sha[SHA_DIGITS + 1], pause_sha[SHA_DIGITS + 1];
    char whose[17];
    uint64_t id;
    unsigned long format;
    char key[STORE_VIEW_KEY_BYTES];
    uint32_t shards;
    struct audit_kinds kinds;
    bool paused;
    uint64_t paused_at_ms;
    struct store_view_stats stats;
};

/* A successful answer; NULL if there is none, with the reason in `error`. */
static redisReply *checked(struct store_view *view, redisReply *reply, const char *what)
{
    if (reply == NULL) {
        error_set(&view->error, "redis: %s", view->redis->errstr);
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        error_set(&view->error, "redis: %s: %s", what, reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static redisReply *store_view_send(struct store_view *view, int argc, const char **argv,
                                   const size_t *bytes)
{
    return checked(view, redisCommandArgv(view->redis, argc, argv, bytes), argv[0]);
}

static redisReply *ask_words(struct store_view *view, int argc, const char **argv)
{
    size_t bytes[16];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    return store_view_send(view, argc, argv, bytes);
}

static int strange(struct store_view *view, redisReply *reply, const char *what)
{
    freeReplyObject(reply);
    error_set(&view->error, "redis: %s: no such answer", what);
    return -1;
}

/* --- opening --- */

int store_view_load(struct store_view *view, const char *script, size_t script_bytes,
                    char sha[STORE_VIEW_SHA_BYTES])
{
    const char *argv[] = {"SCRIPT", "LOAD", script};
    const size_t bytes[] = {6, 4, script_bytes};
    redisReply *reply = store_view_send(view, 3, argv, bytes);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_DIGITS)
        return strange(view, reply, "SCRIPT LOAD");
    memcpy(sha, reply->str, SHA_DIGITS + 1);
    freeReplyObject(reply);
    return 0;
}

static int store_view_load_script(struct store_view *view, const unsigned char *script,
                                  unsigned long script_bytes, char sha[STORE_VIEW_SHA_BYTES])
{
    return store_view_load(view, (const char *)script, script_bytes, sha);
}

static void take_field(struct store_view *view, const char *name, const char *value)
{
    if (strcmp(name, "id") == 0)
        view->id = strtoull(value, NULL, 16);
    else if (strcmp(name, "shards") == 0)
        view->shards = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "format") == 0)
        view->format = strtoul(value, NULL, 10);
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
    const char *argv[] = {"HGETALL", "tally:store"};
    redisReply *reply = ask_words(view, 2, argv);
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

static int store_view_greet(struct store_view *view, const char *password)
{
    const char *argv[] = {"AUTH", password};
    if (password == NULL)
        return 0;
    redisReply *reply = ask_words(view, 2, argv);
    freeReplyObject(reply);
    return reply == NULL ? -1 : 0;
}

/* A replica is not read either: it may lag behind, and an audit's pause is a write. */
static int check_role(struct store_view *view, const char *host, int port)
{
    char at[16] = "";
    struct error why;
    redisReply *reply = redisCommand(view->redis, "ROLE");
    if (reply == NULL)
        return checked(view, reply, "ROLE") == NULL ? -1 : 0;
    int role = redis_link_judge_role(reply, &why);
    freeReplyObject(reply);
    if (host[0] != '/')
        snprintf(at, sizeof at, ":%d", port);
    if (role < 0)
        error_set(&view->error, "redis: %.60s%s: %s", host, at, why.text);
    return role < 0 ? -1 : 0;
}

struct store_view *store_view_open(const char *host, int port, const char *password,
                                   struct error *error)
{
    const struct timeval limit = {.tv_sec = ANSWER_S};
    uint64_t whose = 0;
    struct store_view *view = calloc(1, sizeof *view);
    if (view == NULL || getrandom(&whose, sizeof whose, 0) != (ssize_t)sizeof whose) {
        error_set(error, "no memory, or no random number");
        free(view);
        return NULL;
    }
    snprintf(view->whose, sizeof view->whose, "%016" PRIx64, whose);
    view->redis = host[0] == '/' ? redisConnectUnixWithTimeout(host, limit)
                                 : redisConnectWithTimeout(host, port, limit);
    if (view->redis == NULL || view->redis->err != 0) {
        char at[16] = "";
        if (host[0] != '/')
            snprintf(at, sizeof at, ":%d", port);
        error_set(error, "redis: %s (%s%s)",
                  view->redis == NULL ? "no memory" : view->redis->errstr, host, at);
        goto fail;
    }
    if (redisSetTimeout(view->redis, limit) != REDIS_OK || store_view_greet(view, password) != 0 ||
        check_role(view, host, port) != 0 ||
        store_view_load_script(view, count_lua, count_lua_bytes, view->count_sha) != 0 ||
        store_view_load_script(view, pause_lua, pause_lua_bytes, view->pause_sha) != 0 ||
        read_store(view) != 0) {
        error_set(error, "%s",
                  view->error.text[0] != '\0' ? view->error.text : "redis: no timeout can be set");
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
    if (view->redis != NULL)
        redisFree(view->redis);
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

const char *store_view_key(const struct store_view *view)
{
    return view->key;
}

struct store_view_stats store_view_stats(const struct store_view *view)
{
    return view->stats;
}

/* --- calls for others --- */

redisReply *store_view_ask(struct store_view *view, int argc, const char **argv,
                           const size_t *bytes)
{
    return store_view_send(view, argc, argv, bytes);
}

int store_view_push(struct store_view *view, int argc, const char **argv, const size_t *bytes)
{
    if (redisAppendCommandArgv(view->redis, argc, argv, bytes) == REDIS_OK)
        return 0;
    error_set(&view->error, "redis: %s", view->redis->errstr);
    return -1;
}

redisReply *store_view_pull(struct store_view *view)
{
    void *reply = NULL;
    (void)redisGetReply(view->redis, &reply);
    return checked(view, reply, "answer");
}

/* --- listing --- */

int store_view_articles(struct store_view *view, uint32_t shard,
                        int (*fn)(void *user, const char *article, size_t bytes), void *user)
{
    char key[32], cursor[24] = "0";
    int answer = 0;
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:heads", shard);
    do {
        const char *argv[] = {"HSCAN", key, cursor, "COUNT", SCAN};
        redisReply *reply = ask_words(view, 5, argv);
        if (reply == NULL)
            return -1;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[1]->type != REDIS_REPLY_ARRAY)
            return strange(view, reply, "HSCAN");
        const redisReply *some = reply->element[1];
        for (size_t i = 0; i + 1 < some->elements && answer == 0; i += 2)
            answer = fn(user, some->element[i]->str, (size_t)some->element[i]->len);
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (answer == 0 && strcmp(cursor, "0") != 0);
    return answer;
}

int store_view_hash(struct store_view *view, uint32_t shard, const char *name,
                    void (*fn)(void *user, uint32_t shard, const char *field, const char *value,
                               size_t value_bytes),
                    void *user)
{
    char key[48];
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:%s", shard, name);
    const char *argv[] = {"HGETALL", key};
    redisReply *reply = ask_words(view, 2, argv);
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

int store_view_state(struct store_view *view, const char *article, size_t bytes, uint32_t shard,
                     struct store_view_stored *stored)
{
    char key[32];
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:states", shard);
    const char *argv[] = {"HGET", key, article};
    const size_t argv_bytes[] = {4, strlen(key), bytes};
    redisReply *reply = store_view_send(view, 3, argv, argv_bytes);
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
    char key[32], text[12];
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:meta", shard);
    snprintf(text, sizeof text, "%u", ms);
    const char *argv[] = {"EVALSHA", view->pause_sha, "1", key, view->whose, text};
    redisReply *reply = ask_words(view, 6, argv);
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
            view->stats.pauses++;
            return 0;
        }
        if (clock_monotonic_ms() + ms > limit_ms)
            return 0;
        const struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
        nanosleep(&nap, NULL);
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

/* --- counting --- */

static int count_once(struct store_view *view, const char *article, size_t article_bytes,
                      uint32_t shard, struct audit_count *count, enum audit_count_step *step)
{
    const char *argv[2 + AUDIT_COUNT_ARGUMENTS] = {"EVALSHA", view->count_sha};
    size_t bytes[2 + AUDIT_COUNT_ARGUMENTS] = {7, SHA_DIGITS};
    audit_count_begin(count, article, article_bytes, shard, SLICE);
    do {
        audit_count_arguments(count, argv + 2, bytes + 2);
        redisReply *reply = store_view_send(view, 2 + AUDIT_COUNT_ARGUMENTS, argv, bytes);
        if (reply == NULL)
            return -1;
        *step = audit_count_answer(count, reply);
        if (*step == AUDIT_COUNT_FAILED)
            return strange(view, reply, "count");
        freeReplyObject(reply);
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
