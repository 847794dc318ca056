/* The link logs its own ups and downs. `on_down` is called only after an `on_up`. An attempt that
 * never got that far is only logged, and only if its reason differs from the previous one. hiredis
 * resolves names, and that blocks: use an address where it matters. After a slow resolver the pause
 * lasts at least as long as the lookup did, so that the loop keeps half of the time.
 *
 * The link itself asks for the role and judges every answer. A server that is demoted while nobody
 * writes says nothing by itself, and its connections stay open.
 *
 * After an error hiredis frees a context by itself, and makes callbacks while it does. A context
 * must not be freed inside its callbacks (0.14 does not guard the connection callback). So
 * redis_link_reset only marks the context and leaves the freeing to the loop. */
#include "redis/redis_link.h"
#include "daemon/clock.h"
#include "daemon/events.h"

#include "daemon/log.h"

#include <event2/util.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 500          /* the primary may be back at any moment */
#define BLOCKED_PAUSE_MAX_MS 5000 /* after an attempt that blocked the loop */
#define CONNECT_MAX_MS 1000       /* to connect, authenticate and report the role */
#define ROLE_EVERY_MS 1000
#define SELDOM_MS 2000      /* between two drops for an answer that another server might not give */
#define STEADY_MS 1000      /* after a connection this long, the next pause is the shortest again */
#define SILENCE_MAX_MS 2000 /* since the last answer, while one is awaited */
#define WHY_MAX_BYTES 160

enum link_state { LINK_PAUSE, LINK_CONNECTING, LINK_UP, LINK_DROPPING };

struct redis_link {
    struct redis_link_config config;
    char *host;
    char *password;
    struct event_base *base;
    struct event *timer; /* the pause, the time allowed to connect, or (at once) the drop */
    redisAsyncContext *redis;
    enum link_state state;
    bool was_up;      /* on_up was called for this connection */
    bool asks_role;   /* the question is not answered yet */
    bool role_unsaid; /* it was logged that Redis does not report its role */
    int pause_ms;
    uint64_t blocked_ms; /* how long the last attempt blocked the loop */
    uint64_t up_since_ms;
    unsigned awaited;  /* answers to the owner */
    uint64_t heard_ms; /* time of the last answer, or of a command on an idle connection */
    uint64_t timeouts;
    uint64_t seldom_ms;           /* the last drop for such an answer; 0 none */
    char why[WHY_MAX_BYTES];      /* the reason for the drop */
    char last_why[WHY_MAX_BYTES]; /* as last logged; "" while up */
};

/* The owner's command, until it is answered. */
struct asked {
    struct redis_link *link;
    redis_link_cb *fn;
    void *user;
};

/* Half of the pause is fixed and half random, so that many edges do not reconnect in step. */
static uint64_t next_pause_ms(struct redis_link *link)
{
    uint32_t random;
    int half = link->pause_ms / 2;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    link->pause_ms = link->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : link->pause_ms * 2;
    uint64_t pause_ms = (uint64_t)half + random % (uint32_t)(half + 1);
    uint64_t blocked_ms =
        link->blocked_ms > BLOCKED_PAUSE_MAX_MS ? BLOCKED_PAUSE_MAX_MS : link->blocked_ms;
    return pause_ms > blocked_ms ? pause_ms : blocked_ms;
}

/* The connection is gone: tells the owner, and pauses. */
static void gone(struct redis_link *link, const char *why)
{
    bool was_up = link->was_up;
    link->redis = NULL;
    link->was_up = link->asks_role = false;
    if (was_up && clock_monotonic_ms() - link->up_since_ms > STEADY_MS)
        link->pause_ms = PAUSE_MIN_MS;
    link->state = LINK_PAUSE;
    events_arm(link->timer, next_pause_ms(link));
    if (was_up || strcmp(why, link->last_why) != 0) {
        log_line(link->config.any_role ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
                 was_up ? "redis lost" : "redis away", "host=%s port=%d why=%s", link->host,
                 link->config.port, why);
        snprintf(link->last_why, sizeof link->last_why, "%s", why);
    }
    if (was_up && link->config.on_down != NULL)
        link->config.on_down(link->config.user, why);
}

static void up(struct redis_link *link)
{
    link->state = LINK_UP;
    link->was_up = true;
    link->up_since_ms = link->heard_ms = clock_monotonic_ms();
    link->last_why[0] = 0;
    event_del(link->timer);
    if (link->config.on_message == NULL)
        events_arm(link->timer, ROLE_EVERY_MS);
    log_line(link->config.any_role ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "redis connected",
             "host=%s port=%d", link->host, link->config.port);
    if (link->config.on_up != NULL)
        link->config.on_up(link->config.user);
}

/* --- what an answer says about the server --- */

static bool begins(const char *text, const char *word)
{
    size_t bytes = strlen(word);
    return strncmp(text, word, bytes) == 0 && (text[bytes] == ' ' || text[bytes] == '\0');
}

/* The error in an answer: its own, or the error of a command in one of Tally's scripts, which the
 * script passes on as {'error', what, …}. NULL if none. */
static const char *error_of(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING &&
        reply->element[1]->type == REDIS_REPLY_STRING &&
        strcmp(reply->element[0]->str, "error") == 0)
        return reply->element[1]->str;
    return NULL;
}

/* Whether to leave a server that gives this answer. A primary without enough replicas may have been
 * cut off while another was promoted. It may also be the only one, and reads still work, so the
 * link leaves it only now and then. */
static bool leaves(struct redis_link *link, const char *error)
{
    static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                                        "UNBLOCKED"};
    uint64_t now_ms = clock_monotonic_ms();
    if (link->config.any_role)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (begins(error, words[i]))
            return true;
    if (!begins(error, "NOREPLICAS") ||
        (link->seldom_ms != 0 && now_ms - link->seldom_ms < SELDOM_MS))
        return false;
    link->seldom_ms = now_ms;
    return true;
}

static void on_answer(redisAsyncContext *redis, void *data, void *user)
{
    struct asked asked = *(struct asked *)user;
    const char *error = data != NULL ? error_of(data) : NULL;
    (void)redis;
    free(user);
    asked.link->awaited--;
    asked.link->heard_ms = clock_monotonic_ms();
    if (error != NULL && leaves(asked.link, error))
        redis_link_reset(asked.link, error);
    if (asked.fn != NULL)
        asked.fn(asked.user, data);
}

/* hiredis calls this for each message of the channel. */
static void on_message(redisAsyncContext *redis, void *data, void *user)
{
    struct redis_link *link = user;
    (void)redis;
    if (data != NULL)
        link->config.on_message(link->config.user, data);
}

int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes)
{
    if (!redis_link_up(link))
        return -1;
    if (link->config.on_message != NULL)
        return redisAsyncCommandArgv(link->redis, on_message, link, argc, argv, bytes) == REDIS_OK
                   ? 0
                   : -1;
    struct asked *asked = malloc(sizeof *asked);
    if (asked == NULL)
        return -1;
    *asked = (struct asked){.link = link, .fn = fn, .user = user};
    if (redisAsyncCommandArgv(link->redis, on_answer, asked, argc, argv, bytes) != REDIS_OK) {
        free(asked);
        return -1;
    }
    if (link->awaited++ == 0)
        link->heard_ms = clock_monotonic_ms();
    return 0;
}

/* --- the role --- */

static bool is_word(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

int redis_link_judge_role(const redisReply *reply, struct error *why)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return 1;
    if (is_word(reply->element[0], "master"))
        return 0;
    if (is_word(reply->element[0], "sentinel"))
        error_set(why, "it is a Sentinel, not a primary: name Redis itself");
    else if (reply->elements >= 3 && reply->element[1]->type == REDIS_REPLY_STRING &&
             reply->element[2]->type == REDIS_REPLY_INTEGER)
        error_set(why, "it is a replica of %.80s:%lld, not a primary", reply->element[1]->str,
                  reply->element[2]->integer);
    else
        error_set(why, "it is a replica, not a primary");
    return -1;
}

/* A user without permission to ask for the role is assumed to be on a primary: the link cannot know
 * more, and later answers reveal the rest. */
static void on_role(redisAsyncContext *redis, void *data, void *user)
{
    struct redis_link *link = user;
    const redisReply *reply = data;
    struct error why;
    (void)redis;
    link->asks_role = false;
    link->heard_ms = clock_monotonic_ms();
    if (reply == NULL || (link->state != LINK_CONNECTING && link->state != LINK_UP))
        return;
    int role = redis_link_judge_role(reply, &why);
    if (role != 0 && link->config.any_role)
        return;
    if (role < 0) {
        redis_link_reset(link, why.text);
    } else if (role > 0 && reply->type == REDIS_REPLY_ERROR &&
               (begins(reply->str, "NOAUTH") || leaves(link, reply->str))) {
        redis_link_reset(link, reply->str);
    } else if (role > 0 && !link->role_unsaid) {
        link->role_unsaid = true;
        log_line(LOG_LEVEL_WARNING, "redis does not say its role: it is taken for a primary",
                 "host=%s port=%d said=%s", link->host, link->config.port,
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected reply to ROLE");
    }
}

static void ask_role(struct redis_link *link)
{
    if (link->asks_role)
        return;
    if (redisAsyncCommand(link->redis, on_role, link, "ROLE") == REDIS_OK)
        link->asks_role = true;
    else
        redis_link_reset(link, "cannot send");
}

/* --- the connection --- */

static void on_auth(redisAsyncContext *redis, void *data, void *user)
{
    struct redis_link *link = user;
    const redisReply *reply = data;
    (void)redis;
    if (reply != NULL && link->state == LINK_CONNECTING && reply->type == REDIS_REPLY_ERROR)
        redis_link_reset(link, reply->str);
}

/* The last answer of the greeting. Redis reports its role even while it loads, but a question about
 * a key is then answered with LOADING. */
static void on_greeted(redisAsyncContext *redis, void *data, void *user)
{
    struct redis_link *link = user;
    const redisReply *reply = data;
    (void)redis;
    if (reply == NULL || link->state != LINK_CONNECTING)
        return;
    if (reply->type == REDIS_REPLY_ERROR && leaves(link, reply->str))
        redis_link_reset(link, reply->str);
    else
        up(link);
}

static void redis_link_greet(struct redis_link *link)
{
    if (link->password != NULL) {
        const char *words[] = {"AUTH", link->password};
        const size_t bytes[] = {4, strlen(link->password)};
        if (redisAsyncCommandArgv(link->redis, on_auth, link, 2, words, bytes) != REDIS_OK)
            redis_link_reset(link, "cannot send");
    }
    ask_role(link);
    if (redisAsyncCommand(link->redis, on_greeted, link, "EXISTS tally:store") != REDIS_OK)
        redis_link_reset(link, "cannot send");
}

static void on_connect(const redisAsyncContext *redis, int status)
{
    struct redis_link *link = redis->data;
    if (link == NULL || link->redis != redis)
        return;
    if (status != REDIS_OK) { /* hiredis frees the context next */
        gone(link,
             redis->errstr != NULL && redis->errstr[0] != 0 ? redis->errstr : "cannot connect");
        return;
    }
    if (link->state == LINK_CONNECTING)
        redis_link_greet(link);
}

/* Called after every pending reply was called back with NULL. */
static void on_disconnect(const redisAsyncContext *redis, int status)
{
    struct redis_link *link = redis->data;
    (void)status;
    if (link == NULL || link->redis != redis)
        return;
    if (link->state == LINK_DROPPING) {
        gone(link, link->why);
        return;
    }
    gone(link,
         redis->errstr != NULL && redis->errstr[0] != 0 ? redis->errstr : "connection closed");
}

static void drop(struct redis_link *link)
{
    redisAsyncContext *redis = link->redis;
    /* Called explicitly afterwards: hiredis calls on_disconnect only for an established
     * connection. */
    redis->data = NULL;
    redisAsyncFree(redis);
    gone(link, link->why);
}

static void redis_link_begin(struct redis_link *link)
{
    bool path = link->host[0] == '/';
    uint64_t begun_ms = clock_monotonic_ms();
    redisAsyncContext *redis =
        path ? redisAsyncConnectUnix(link->host) : redisAsyncConnect(link->host, link->config.port);
    link->blocked_ms = clock_monotonic_ms() - begun_ms;
    if (redis == NULL || redis->err != 0) {
        char why[WHY_MAX_BYTES];
        snprintf(why, sizeof why, "%s", redis == NULL ? "no memory" : redis->errstr);
        if (redis != NULL)
            redisAsyncFree(redis);
        gone(link, why);
        return;
    }
    link->redis = redis;
    link->state = LINK_CONNECTING;
    redis->data = link;
    if (!path)
        redisEnableKeepAlive(&redis->c);
    events_arm(link->timer, CONNECT_MAX_MS);
    if (redisLibeventAttach(redis, link->base) != REDIS_OK) {
        redis_link_reset(link, "no memory");
        return;
    }
    redisAsyncSetConnectCallback(redis, on_connect);
    redisAsyncSetDisconnectCallback(redis, on_disconnect);
}

/* Each second while it is up. */
static void keep_up(struct redis_link *link)
{
    if ((link->awaited > 0 || link->asks_role) &&
        clock_monotonic_ms() - link->heard_ms > SILENCE_MAX_MS) {
        link->timeouts++;
        redis_link_reset(link, "no answer for 2 s");
        return;
    }
    events_arm(link->timer, ROLE_EVERY_MS);
    ask_role(link);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    struct redis_link *link = user;
    (void)fd;
    (void)what;
    if (link->state == LINK_CONNECTING)
        snprintf(link->why, sizeof link->why, "no answer within %d ms", CONNECT_MAX_MS);
    if (link->state == LINK_PAUSE) {
        redis_link_begin(link);
    } else if (link->state == LINK_UP) {
        keep_up(link);
    } else if (link->redis != NULL) {
        drop(link);
    }
}

static void redis_link_forget(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config)
{
    struct redis_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    link->base = base;
    link->pause_ms = PAUSE_MIN_MS;
    link->host = strdup(config->host);
    link->password = config->password != NULL ? strdup(config->password) : NULL;
    link->timer = evtimer_new(base, on_timer, link);
    link->config.host = link->host;
    link->config.password = NULL;
    if (link->host == NULL || (config->password != NULL && link->password == NULL) ||
        link->timer == NULL) {
        redis_link_free(link);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* hiredis 0.14 writes without MSG_NOSIGNAL */
    events_arm(link->timer, 0);
    return link;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL)
        return;
    if (link->redis != NULL) {
        link->redis->data = NULL;
        redisAsyncFree(link->redis);
    }
    events_free(link->timer);
    redis_link_forget(link->password);
    free(link->host);
    free(link);
}

bool redis_link_up(const struct redis_link *link)
{
    return link->state == LINK_UP;
}

unsigned redis_link_awaited(const struct redis_link *link)
{
    return link->awaited;
}

uint64_t redis_link_timeouts(const struct redis_link *link)
{
    return link->timeouts;
}

void redis_link_reset(struct redis_link *link, const char *why)
{
    if (link->redis == NULL || link->state == LINK_DROPPING)
        return;
    snprintf(link->why, sizeof link->why, "%s", why);
    link->state = LINK_DROPPING;
    events_arm(link->timer, 0);
}

int redis_link_set_password(struct redis_link *link, const char *password)
{
    if (password == NULL ? link->password == NULL
                         : link->password != NULL && strcmp(password, link->password) == 0)
        return 0;
    char *own = password != NULL ? strdup(password) : NULL;
    if (password != NULL && own == NULL)
        return -1;
    redis_link_forget(link->password);
    link->password = own;
    redis_link_reset(link, "another password is to be used");
    return 1;
}

const char *redis_link_why(const struct redis_link *link)
{
    return link->state == LINK_UP      ? ""
           : link->last_why[0] != '\0' ? link->last_why
                                       : "not connected yet";
}
