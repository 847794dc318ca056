/* The link logs its own ups and downs. `on_down` is called only after an `on_up`. An attempt that
 * never got that far is only logged, and only if its reason differs from the previous one.
 *
 * The link itself asks for the role and judges every answer. A server that is demoted while nobody
 * writes says nothing by itself, and its connections stay open.
 *
 * Any callback of the owner may send, reset or free. So redis_link_reset only marks the connection
 * and leaves the rest to the loop, and `busy` counts the callbacks under way: the last of them
 * releases the memory of a link that was freed in one. */
#include "redis/redis_link.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "redis/redis_answer.h"
#include "redis/redis_dial.h"
#include "redis/redis_key.h"
#include "redis/redis_wire.h"

#include "daemon/log.h"

#include <event2/util.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 500    /* the primary may be back at any moment */
#define CONNECT_MAX_MS 1000 /* to connect, authenticate and report the role */
#define ROLE_EVERY_MS 1000
#define SELDOM_MS 2000      /* between two drops for an answer that another server might not give */
#define STEADY_MS 1000      /* after a connection this long, the next pause is the shortest again */
#define SILENCE_MAX_MS 2000 /* since the last answer, while one is awaited */
#define WHY_MAX_BYTES 160

enum link_state { LINK_PAUSE, LINK_CONNECTING, LINK_UP, LINK_DROPPING };

struct redis_link {
    struct redis_link_config config; /* its texts are the four below */
    char *host, *username, *password, *prefix;
    struct event *timer; /* the pause, the time allowed to connect, or (at once) the drop */
    struct event_base *base;
    struct redis_dial *dial;
    struct redis_wire *wire; /* NULL: not connected */
    enum link_state state;
    bool was_up;      /* on_up was called for this connection */
    bool asks_role;   /* the question is not answered yet */
    bool role_unsaid; /* it was logged that Redis does not report its role */
    bool freed;
    unsigned busy; /* callbacks under way */
    int pause_ms;
    uint64_t up_since_ms;
    unsigned awaited;  /* answers to the owner */
    uint64_t asked_ms; /* when it came up, or the owner sent on an idle connection */
    uint64_t timeouts;
    uint64_t seldom_ms;           /* the last drop for such an answer; 0 none */
    char why[WHY_MAX_BYTES];      /* the reason for the drop */
    char last_why[WHY_MAX_BYTES]; /* as last logged; "" while up */
};

static void forget_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void redis_link_destroy(struct redis_link *link)
{
    forget_secret(link->password);
    free(link->username);
    free(link->prefix);
    free(link->host);
    free(link);
}

static void redis_link_release(struct redis_link *link)
{
    if (link->busy == 0 && link->freed)
        redis_link_destroy(link);
}

/* Half of the pause is fixed and half random, so that many edges do not reconnect in step. */
static uint64_t next_pause_ms(struct redis_link *link)
{
    uint32_t random;
    int half = link->pause_ms / 2;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    link->pause_ms = link->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : link->pause_ms * 2;
    return (uint64_t)half + random % (uint32_t)(half + 1);
}

/* Ends the connection or the attempt. Calls back every waiting caller with NULL. */
static void disconnect(struct redis_link *link)
{
    struct redis_wire *wire = link->wire;
    link->wire = NULL;
    link->asks_role = false;
    link->state = LINK_PAUSE;
    redis_dial_cancel(link->dial);
    redis_wire_free(wire);
}

/* The connection is gone: tells the owner, and pauses. */
static void gone(struct redis_link *link, const char *why)
{
    bool was_up = link->was_up;
    link->was_up = false;
    link->busy++;
    disconnect(link);
    link->busy--;
    if (link->freed) {
        redis_link_release(link);
        return;
    }
    if (!was_up)
        redis_dial_turn(link->dial);
    if (was_up && clock_monotonic_ms() - link->up_since_ms > STEADY_MS)
        link->pause_ms = PAUSE_MIN_MS;
    events_arm(link->timer, next_pause_ms(link));
    if (was_up || strcmp(why, link->last_why) != 0) {
        log_line(link->config.any_role ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
                 was_up ? "redis lost" : "redis away", "host=%s port=%d reason=%s", link->host,
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
    link->up_since_ms = link->asked_ms = clock_monotonic_ms();
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

/* Whether to leave a server that gives this answer. A primary without enough replicas may have been
 * cut off while another was promoted. It may also be the only one, and reads still work, so the
 * link leaves it only now and then. */
static bool leaves(struct redis_link *link, const char *error)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (link->config.any_role)
        return false;
    if (redis_answer_leaves(error))
        return true;
    if (!redis_answer_is(error, "NOREPLICAS") ||
        (link->seldom_ms != 0 && now_ms - link->seldom_ms < SELDOM_MS))
        return false;
    link->seldom_ms = now_ms;
    return true;
}

static void on_owners_answer(struct redis_link *link, const struct redis_wire_call *call,
                             const redisReply *reply)
{
    const char *error = reply != NULL ? redis_answer_error(reply) : NULL;
    link->awaited--;
    if (error != NULL && leaves(link, error))
        redis_link_reset(link, error);
    if (call->fn != NULL)
        call->fn(call->user, reply);
}

/* The wire's: an answer to the owner, to the link itself, or a message of a channel. */
static void on_answer(void *user, const struct redis_wire_call *call, const redisReply *reply)
{
    struct redis_link *link = user;
    link->busy++;
    if (call != NULL && call->own) {
        call->fn(link, reply);
    } else if (call != NULL) {
        on_owners_answer(link, call, reply);
    } else if (link->config.on_message != NULL && link->state == LINK_UP) {
        link->config.on_message(link->config.user, reply);
    } else {
        redis_link_reset(link, "it sent a reply without a request");
    }
    link->busy--;
    redis_link_release(link);
}

int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes)
{
    if (!redis_link_up(link))
        return -1;
    if (link->config.on_message != NULL)
        return redis_wire_send(link->wire, NULL, argc, argv, bytes);
    const struct redis_wire_call call = {.fn = fn, .user = user};
    if (redis_wire_send(link->wire, &call, argc, argv, bytes) != 0)
        return -1;
    if (link->awaited++ == 0)
        link->asked_ms = clock_monotonic_ms();
    return 0;
}

/* A question of the link's own. */
static void redis_link_ask(struct redis_link *link, redis_link_cb *fn, int argc, const char **argv)
{
    const struct redis_wire_call call = {.fn = fn, .user = link, .own = true};
    size_t bytes[3];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    if (redis_wire_send(link->wire, &call, argc, argv, bytes) != 0)
        redis_link_reset(link, "cannot send");
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
static void on_role(void *user, const redisReply *reply)
{
    struct redis_link *link = user;
    struct error why;
    link->asks_role = false;
    if (reply == NULL || (link->state != LINK_CONNECTING && link->state != LINK_UP))
        return;
    int role = redis_link_judge_role(reply, &why);
    if (link->config.any_role) {
        if (reply->type == REDIS_REPLY_ERROR && redis_answer_is(reply->str, "NOAUTH"))
            redis_link_reset(link, reply->str);
    } else if (role < 0) {
        redis_link_reset(link, why.text);
    } else if (role > 0 && reply->type == REDIS_REPLY_ERROR &&
               (redis_answer_is(reply->str, "NOAUTH") || leaves(link, reply->str))) {
        redis_link_reset(link, reply->str);
    } else if (role > 0 && !link->role_unsaid) {
        link->role_unsaid = true;
        log_line(LOG_LEVEL_WARNING, "redis does not report its role: assuming a primary",
                 "host=%s port=%d said=%s", link->host, link->config.port,
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected reply to ROLE");
    }
}

static void ask_role(struct redis_link *link)
{
    const char *words[] = {"ROLE"};
    if (link->asks_role)
        return;
    link->asks_role = true;
    redis_link_ask(link, on_role, 1, words);
}

/* --- the greeting --- */

static void on_auth(void *user, const redisReply *reply)
{
    struct redis_link *link = user;
    if (reply != NULL && link->state == LINK_CONNECTING && reply->type == REDIS_REPLY_ERROR)
        redis_link_reset(link, redis_answer_auth(reply->str));
}

static void on_select(void *user, const redisReply *reply)
{
    struct redis_link *link = user;
    char why[WHY_MAX_BYTES];
    if (reply == NULL || link->state != LINK_CONNECTING || reply->type != REDIS_REPLY_ERROR)
        return;
    snprintf(why, sizeof why, "database %d: %s", link->config.db, reply->str);
    redis_link_reset(link, why);
}

/* The last answer of the greeting. Redis reports its role even while it loads, but a question about
 * a key is then answered with LOADING. */
static void on_greeted(void *user, const redisReply *reply)
{
    struct redis_link *link = user;
    if (reply == NULL || link->state != LINK_CONNECTING)
        return;
    if (reply->type == REDIS_REPLY_ERROR && leaves(link, reply->str))
        redis_link_reset(link, reply->str);
    else
        up(link);
}

/* Sent at once: the answers come in this order, and the first that is bad ends the connection. */
static void greet(void *user)
{
    struct redis_link *link = user;
    char db[16], key[REDIS_KEY_BYTES];
    const char *auth[] = {"AUTH", link->password};
    const char *auth_user[] = {"AUTH", link->username,
                               link->password != NULL ? link->password : ""};
    const char *select[] = {"SELECT", db}, *exists[] = {"EXISTS", key};
    if (link->username != NULL)
        redis_link_ask(link, on_auth, 3, auth_user);
    else if (link->password != NULL)
        redis_link_ask(link, on_auth, 2, auth);
    snprintf(db, sizeof db, "%d", link->config.db);
    if (link->config.db != 0)
        redis_link_ask(link, on_select, 2, select);
    ask_role(link);
    redis_key(key, link->prefix, REDIS_PLACE_STORE, NULL);
    redis_link_ask(link, on_greeted, 2, exists);
}

/* --- the connection --- */

static void on_end(void *user, const char *why)
{
    gone(user, why);
}

static void on_dialled(void *user, int fd, const char *why)
{
    struct redis_link *link = user;
    const struct redis_wire_config wire = {
        .on_open = greet, .on_answer = on_answer, .on_end = on_end, .user = link};
    if (fd < 0) {
        gone(link, why);
        return;
    }
    link->wire = redis_wire_new(link->base, fd, link->config.tls, link->host, &wire);
    if (link->wire == NULL)
        gone(link, "no memory");
}

static void begin(struct redis_link *link)
{
    link->state = LINK_CONNECTING;
    events_arm(link->timer, CONNECT_MAX_MS);
    redis_dial_start(link->dial);
}

/* The time to connect is over. */
static void give_up(struct redis_link *link)
{
    char why[WHY_MAX_BYTES];
    const char *awaited = redis_dial_awaits(link->dial);
    if (awaited != NULL)
        snprintf(why, sizeof why, "waited %d ms for %s", CONNECT_MAX_MS, awaited);
    else if (link->config.tls != NULL && redis_wire_opens(link->wire))
        snprintf(why, sizeof why, "no TLS handshake within %d ms: does it speak TLS on this port?",
                 CONNECT_MAX_MS);
    else
        snprintf(why, sizeof why, "no answer within %d ms", CONNECT_MAX_MS);
    gone(link, why);
}

/* Each second while it is up. */
static void keep_up(struct redis_link *link)
{
    uint64_t heard_ms = redis_wire_heard_ms(link->wire);
    uint64_t since_ms = heard_ms > link->asked_ms ? heard_ms : link->asked_ms;
    if ((link->awaited > 0 || link->asks_role) &&
        clock_monotonic_ms() - since_ms > SILENCE_MAX_MS) {
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
    if (link->state == LINK_PAUSE)
        begin(link);
    else if (link->state == LINK_UP)
        keep_up(link);
    else if (link->state == LINK_CONNECTING)
        give_up(link);
    else
        gone(link, link->why);
}

static int redis_link_copy(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text != NULL && *to == NULL ? -1 : 0;
}

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config)
{
    struct redis_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    link->base = base;
    link->pause_ms = PAUSE_MIN_MS;
    if (redis_link_copy(&link->host, config->host) == 0 &&
        redis_link_copy(&link->username, config->username) == 0 &&
        redis_link_copy(&link->password, config->password) == 0 &&
        redis_link_copy(&link->prefix,
                        config->prefix != NULL ? config->prefix : REDIS_KEY_PREFIX) == 0) {
        link->timer = evtimer_new(base, on_timer, link);
        link->dial = redis_dial_new(base, link->host, config->port, on_dialled, link);
    }
    link->config.host = link->config.username = link->config.password = link->config.prefix = NULL;
    if (link->timer == NULL || link->dial == NULL) {
        events_free(link->timer);
        redis_dial_free(link->dial);
        redis_link_destroy(link);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* neither libevent nor OpenSSL writes with MSG_NOSIGNAL */
    events_arm(link->timer, 0);
    return link;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL || link->freed)
        return;
    link->freed = true;
    link->busy++;
    if (link->dial != NULL)
        disconnect(link);
    events_free(link->timer);
    redis_dial_free(link->dial);
    link->busy--;
    redis_link_release(link);
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
    if (link->freed || (link->state != LINK_CONNECTING && link->state != LINK_UP))
        return;
    snprintf(link->why, sizeof link->why, "%s", why);
    link->state = LINK_DROPPING;
    redis_dial_cancel(link->dial);
    if (link->wire != NULL)
        redis_wire_stop(link->wire);
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
    forget_secret(link->password);
    link->password = own;
    redis_link_reset(link, "reconnecting with the new password");
    return 1;
}

const char *redis_link_why(const struct redis_link *link)
{
    return link->state == LINK_UP      ? ""
           : link->last_why[0] != '\0' ? link->last_why
                                       : "not connected yet";
}
