/* The link logs its own ups and downs. `on_down` follows an `on_up`; an attempt that never got that
 * far is only logged, and only when its reason is another than the last one's. Names are resolved
 * by hiredis, which blocks: give an address where that matters.
 *
 * hiredis frees a context by itself after an error, and calls back while it does; a context may not
 * be freed inside its callbacks (0.14 has no guard around the one for the connection). So
 * redis_link_reset only marks it and leaves the freeing to the loop. */
#include "daemon/redis_link.h"
#include "daemon/clock.h"
#include "daemon/events.h"

#include "daemon/log.h"

#include <event2/util.h>
#include <hiredis/adapters/libevent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 5000
#define CONNECT_MAX_MS 5000 /* to connect and authenticate */
#define STEADY_MS 1000 /* a connection that held this long begins again with the shortest pause */
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
    bool was_up; /* on_up was called for this connection */
    int pause_ms;
    uint64_t up_since_ms;
    char why[WHY_MAX_BYTES];      /* of the drop */
    char last_why[WHY_MAX_BYTES]; /* as last logged */
};

/* Half of the pause is fixed, half random, so that many edges do not come back in step. */
static int next_pause_ms(struct redis_link *link)
{
    uint32_t random;
    int half = link->pause_ms / 2;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    link->pause_ms = link->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : link->pause_ms * 2;
    return half + (int)(random % (uint32_t)(half + 1));
}

/* The connection is no more: tells, and pauses. */
static void gone(struct redis_link *link, const char *why)
{
    bool was_up = link->was_up;
    link->redis = NULL;
    link->was_up = false;
    if (was_up && clock_monotonic_ms() - link->up_since_ms > STEADY_MS)
        link->pause_ms = PAUSE_MIN_MS;
    link->state = LINK_PAUSE;
    events_arm(link->timer, next_pause_ms(link));
    if (was_up || strcmp(why, link->last_why) != 0) {
        log_line(LOG_LEVEL_WARNING, was_up ? "redis lost" : "redis away", "host=%s port=%d why=%s",
                 link->host, link->config.port, why);
        snprintf(link->last_why, sizeof link->last_why, "%s", why);
    }
    if (was_up && link->config.on_down != NULL)
        link->config.on_down(link->config.user, why);
}

static void up(struct redis_link *link)
{
    link->state = LINK_UP;
    link->was_up = true;
    link->up_since_ms = clock_monotonic_ms();
    link->last_why[0] = 0;
    event_del(link->timer);
    log_line(LOG_LEVEL_INFO, "redis connected", "host=%s port=%d", link->host, link->config.port);
    if (link->config.on_up != NULL)
        link->config.on_up(link->config.user, link->redis);
}

static void on_auth(redisAsyncContext *redis, void *data, void *user)
{
    struct redis_link *link = user;
    const redisReply *reply = data;
    (void)redis;
    if (reply == NULL || link->state != LINK_CONNECTING)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_link_reset(link, reply->str);
        return;
    }
    up(link);
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
    if (link->state != LINK_CONNECTING)
        return;
    if (link->password == NULL) {
        up(link);
        return;
    }
    const char *words[] = {"AUTH", link->password};
    const size_t bytes[] = {4, strlen(link->password)};
    if (redisAsyncCommandArgv(link->redis, on_auth, link, 2, words, bytes) != REDIS_OK)
        redis_link_reset(link, "cannot send");
}

/* After every reply under way was called back with NULL. */
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
    /* Told by hand afterwards: hiredis calls on_disconnect only for what was connected. */
    redis->data = NULL;
    redisAsyncFree(redis);
    gone(link, link->why);
}

static void begin(struct redis_link *link)
{
    bool path = link->host[0] == '/';
    redisAsyncContext *redis =
        path ? redisAsyncConnectUnix(link->host) : redisAsyncConnect(link->host, link->config.port);
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

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    struct redis_link *link = user;
    (void)fd;
    (void)what;
    if (link->state == LINK_CONNECTING)
        snprintf(link->why, sizeof link->why, "no answer within %d ms", CONNECT_MAX_MS);
    if (link->state == LINK_PAUSE)
        begin(link);
    else if (link->redis != NULL)
        drop(link);
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
    link->config.password = link->password;
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
    free(link->password);
    free(link->host);
    free(link);
}

redisAsyncContext *redis_link_context(struct redis_link *link)
{
    return link->state == LINK_UP ? link->redis : NULL;
}

void redis_link_reset(struct redis_link *link, const char *why)
{
    if (link->redis == NULL || link->state == LINK_DROPPING)
        return;
    snprintf(link->why, sizeof link->why, "%s", why);
    link->state = LINK_DROPPING;
    events_arm(link->timer, 0);
}
