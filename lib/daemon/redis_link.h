/* A hiredis async connection on a libevent loop, which reconnects by itself with a growing pause
 * (0.1 to 5 s) and jitter. hiredis 0.14 and later (no RESP3, no redisConnectWithOptions). Loop
 * thread only. */
#ifndef TALLY_DAEMON_REDIS_LINK_H
#define TALLY_DAEMON_REDIS_LINK_H

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>

struct redis_link;

struct redis_link_config {
    const char
        *host; /* host name, address, or a path that begins with / for a Unix socket; copied */
    int port;
    const char *password;                                /* NULL none; copied */
    void (*on_up)(void *user, redisAsyncContext *redis); /* connected and authenticated */
    void (*on_down)(
        void *user,
        const char *why); /* every reply under way has been called back with NULL before */
    void *user;
};

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config);
void redis_link_free(struct redis_link *link);

/* The connection while it is up, else NULL. Send with redisAsyncCommandArgv and friends. */
redisAsyncContext *redis_link_context(struct redis_link *link);

/* Drops the connection and begins anew after the pause: for a reply that makes no sense, or none
 * within the time allowed. */
void redis_link_reset(struct redis_link *link, const char *why);

#endif
