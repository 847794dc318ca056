/* Looks at Redis every second, judges what it finds, and sends the other parts' commands. */
#include "session.h"

#include "daemon/clock.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 1000
#define LOOK_DEEP 10 /* every n-th look includes the configuration */
#define CLOCK_MAX_MS 2000
#define SHA_DIGITS 40

extern const unsigned char register_lua[], store_lua[];
extern const unsigned long register_lua_bytes, store_lua_bytes;

struct session {
    struct session_config config;
    struct redis_link *link;
    uint64_t reconnects;

    bool ready;
    bool full; /* as of the last look */
    bool adopt;
    struct store store;
    uint64_t said_id; /* the store that was last logged as accepted */
    char script[SHA_DIGITS + 1];
    char why[STORE_WHY_BYTES];

    /* The look under way. */
    bool looking, deep, look_again;
    unsigned looks;
    uint64_t looked_ms, time_sent_ms;
    char trouble[STORE_WHY_BYTES];
};

int session_send(struct session *session, redis_link_cb *fn, void *user, int argc,
                 const char **argv, const size_t *bytes)
{
    return redis_link_send(session->link, fn, user, argc, argv, bytes);
}

/* --- the verdict --- */

static void trouble(struct session *session, const char *what, const char *detail)
{
    if (session->trouble[0] == '\0')
        snprintf(session->trouble, sizeof session->trouble, "%s%s", what, detail);
}

static void session_hold(struct session *session, const char *why)
{
    session->ready = false;
    if (strcmp(session->why, why) != 0)
        log_line(LOG_LEVEL_ERROR, "nothing is applied", "reason=%s", why);
    snprintf(session->why, sizeof session->why, "%s", why);
}

static void serve(struct session *session, const struct store_rings *rings)
{
    bool adopted = session->adopt && (rings->of_stores ||
                                      (rings->applied != 0 && rings->applied != session->store.id));
    if (adopted || session->store.id != session->said_id || session->why[0] != '\0')
        log_line(LOG_LEVEL_INFO, adopted ? "store adopted" : "store accepted",
                 "store=%016" PRIx64 " shards=%u split=%u", session->store.id,
                 session->store.shards, session->store.split);
    session->said_id = session->store.id;
    session->ready = true;
    session->why[0] = '\0';
    session->config.on_ready(session->config.user, adopted);
    session->adopt = false;
}

static void on_store(void *user, const redisReply *answer);

/* Creates the store, or adds kinds; the answer is judged like any other. */
static void ask_store_script(struct session *session, const struct store_rings *rings, bool make)
{
    char id[17], shards[12], split[12];
    const char *argv[9 + KIND_MAX + 1];
    size_t bytes[9 + KIND_MAX + 1];
    int n = 0;
    uint64_t new_id = session->store.id;
    while (make && new_id == 0)
        randombytes_buf(&new_id, sizeof new_id);
    snprintf(id, sizeof id, "%016" PRIx64, new_id);
    snprintf(shards, sizeof shards, "%u", rings->shards);
    snprintf(split, sizeof split, "%d", STORE_SPLIT_VOTERS);
    argv[n++] = "EVAL";
    argv[n++] = (const char *)store_lua;
    argv[n++] = "1";
    argv[n++] = STORE_KEY;
    argv[n++] = id;
    argv[n++] = make ? "make" : "keep";
    argv[n++] = shards;
    argv[n++] = rings->key;
    argv[n++] = split;
    for (int i = 0; i < rings->kinds && i < KIND_MAX; i++)
        argv[n++] = rings->kind[i];
    for (int i = 0; i < n; i++)
        bytes[i] = strlen(argv[i]);
    if (session_send(session, on_store, session, n, argv, bytes) == 0)
        session->looking = true;
}

static void session_judge(struct session *session, bool after_script)
{
    struct store_rings rings;
    struct error error;
    char why[STORE_WHY_BYTES];
    if (session->script[0] == '\0')
        trouble(session, "redis: the script is not loaded", "");
    if (session->trouble[0] != '\0') {
        session_hold(session, session->trouble);
        return;
    }
    store_rings_init(&rings);
    session->config.rings(session->config.user, &rings);
    switch (store_judge(&session->store, &rings, session->adopt, &error)) {
    case STORE_SERVE:
        serve(session, &rings);
        break;
    case STORE_HOLD:
        error_copy(&error, why, sizeof why);
        session_hold(session, why);
        break;
    case STORE_MAKE:
    case STORE_KINDS:
        session->ready = false;
        if (after_script) /* another edge came first: look again in a second */
            session_hold(session, "store: it is being made");
        else
            ask_store_script(session, &rings, !session->store.exists);
    }
}

/* --- a look --- */

static const redisReply *good(struct session *session, const redisReply *reply, int type,
                              const char *what)
{
    if (reply != NULL && reply->type == type)
        return reply;
    if (reply != NULL)
        trouble(session, what, reply->type == REDIS_REPLY_ERROR ? reply->str : "no such answer");
    return NULL;
}

static void on_info(void *user, const redisReply *answer)
{
    struct session *session = user;
    const redisReply *reply = good(session, answer, REDIS_REPLY_STRING, "redis: INFO: ");
    if (reply == NULL)
        return;
    if (strstr(reply->str, "aof_enabled:0") != NULL)
        trouble(session, "redis: appendonly is off, so it may forget (volatile_redis accepts that)",
                "");
}

/* A number from INFO, 0 if absent. */
static uint64_t info_number(const char *info, const char *name)
{
    const char *at = strstr(info, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void on_memory(void *user, const redisReply *reply)
{
    struct session *session = user;
    const bool accepts = session->config.volatile_redis;
    if (!accepts)
        reply = good(session, reply, REDIS_REPLY_STRING, "redis: INFO: ");
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return;
    const char *policy = strstr(reply->str, "maxmemory_policy:");
    bool evicts =
        policy != NULL && strncmp(policy + strlen("maxmemory_policy:"), "noeviction", 10) != 0;
    uint64_t limit = info_number(reply->str, "\nmaxmemory:");
    session->full = !evicts && limit > 0 &&
                    info_number(reply->str, "\nused_memory:") >
                        limit + info_number(reply->str, "\nmem_not_counted_for_evict:");
    if (evicts && !accepts)
        trouble(session,
                "redis: maxmemory-policy is not noeviction, so it may evict (volatile_redis "
                "accepts that)",
                "");
}

static void on_loaded(void *user, const redisReply *answer)
{
    struct session *session = user;
    const redisReply *reply = good(session, answer, REDIS_REPLY_STRING, "redis: SCRIPT LOAD: ");
    if (reply != NULL)
        snprintf(session->script, sizeof session->script, "%s", reply->str);
}

/* Redis read its clock at some point between our request and its answer, so the tolerance is half
 * of that time on either side. */
static void on_time(void *user, const redisReply *answer)
{
    struct session *session = user;
    const redisReply *reply = good(session, answer, REDIS_REPLY_ARRAY, "redis: TIME: ");
    if (reply == NULL || reply->elements != 2)
        return;
    int64_t sent_ms = (int64_t)session->time_sent_ms;
    int64_t half_ms = ((int64_t)clock_unix_ms() - sent_ms) / 2;
    int64_t redis_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                       strtoll(reply->element[1]->str, NULL, 10) / 1000;
    int64_t skew_ms = redis_ms - (sent_ms + half_ms);
    if (half_ms < 0)
        return; /* our own clock was set meanwhile */
    session->config.on_clock(session->config.user, skew_ms,
                             llabs(skew_ms) - half_ms > CLOCK_MAX_MS);
}

/* The last answer of a look, and that of store.lua. */
static void finish_look(struct session *session, const redisReply *reply, bool after_script)
{
    if (reply != NULL)
        store_init(&session->store);
    for (size_t i = 0; reply != NULL && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        store_field(&session->store, name->str, (size_t)name->len, value->str, (size_t)value->len);
    }
    session->looking = false;
    session_judge(session, after_script);
    if (session->look_again && !session->looking)
        session_look(session);
}

static void on_fields(void *user, const redisReply *answer)
{
    struct session *session = user;
    if (answer != NULL)
        finish_look(session, good(session, answer, REDIS_REPLY_ARRAY, "store: "), false);
}

static void on_store(void *user, const redisReply *answer)
{
    struct session *session = user;
    if (answer != NULL)
        finish_look(session, good(session, answer, REDIS_REPLY_ARRAY, "store: "), true);
}

/* A command of plain words. */
static void session_ask(struct session *session, redis_link_cb *fn, const char *a, const char *b,
                        const char *c, size_t c_bytes)
{
    const char *argv[] = {a, b, c};
    const size_t bytes[] = {strlen(a), b != NULL ? strlen(b) : 0, c_bytes};
    (void)session_send(session, fn, session, b == NULL ? 1 : c == NULL ? 2 : 3, argv, bytes);
}

static void begin_look(struct session *session, bool deep)
{
    if (!redis_link_up(session->link))
        return;
    session->looking = true;
    session->look_again = false;
    session->looked_ms = clock_monotonic_ms();
    session->trouble[0] = '\0';
    if (deep && !session->config.volatile_redis)
        session_ask(session, on_info, "INFO", "persistence", NULL, 0);
    session_ask(session, on_memory, "INFO", "memory", NULL, 0);
    if (deep)
        session_ask(session, on_loaded, "SCRIPT", "LOAD", (const char *)register_lua,
                    (size_t)register_lua_bytes);
    session->time_sent_ms = clock_unix_ms();
    session_ask(session, on_time, "TIME", NULL, NULL, 0);
    session_ask(session, on_fields, "HGETALL", STORE_KEY, NULL, 0);
}

void session_look(struct session *session)
{
    session->ready = false;
    if (session->looking)
        session->look_again = true; /* its answers may be outdated */
    else
        begin_look(session, true);
}

void session_tick(struct session *session)
{
    uint64_t now = clock_monotonic_ms();
    if (session->looking || now - session->looked_ms < LOOK_MS)
        return;
    begin_look(session, !session->ready || session->looks++ % LOOK_DEEP == 0);
}

/* --- the connection --- */

static void on_up(void *user)
{
    struct session *session = user;
    session->looking = false;
    session->script[0] = '\0';
    session_look(session);
}

static void on_down(void *user, const char *why)
{
    struct session *session = user;
    (void)why;
    session->reconnects++;
    session->looking = session->look_again = false;
    session->ready = session->full = false;
    session->why[0] = '\0';
}

struct session *session_new(struct event_base *base, const struct session_config *config)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->config = *config;
    session->adopt = config->adopt;
    store_init(&session->store);
    struct redis_link_config link = config->link;
    link.on_up = on_up;
    link.on_down = on_down;
    link.user = session;
    session->link = redis_link_new(base, &link);
    if (session->link == NULL) {
        free(session);
        return NULL;
    }
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    redis_link_free(session->link);
    free(session);
}

bool session_up(const struct session *session)
{
    return redis_link_up(session->link);
}

bool session_ready(const struct session *session)
{
    return session->ready;
}

const char *session_why(const struct session *session)
{
    return session_up(session) ? session->why : redis_link_why(session->link);
}

bool session_adopts(const struct session *session)
{
    return session->adopt;
}

bool session_full(const struct session *session)
{
    return session->full;
}

int session_set_password(struct session *session, const char *password)
{
    return redis_link_set_password(session->link, password);
}

const struct store *session_store(const struct session *session)
{
    return &session->store;
}

uint64_t session_reconnects(const struct session *session)
{
    return session->reconnects;
}

unsigned session_awaited(const struct session *session)
{
    return redis_link_awaited(session->link);
}

const char *session_script(const struct session *session)
{
    return session->script;
}
