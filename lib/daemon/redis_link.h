/* A hiredis async connection to a primary on a libevent loop. Reconnects by itself with a growing
 * pause (0.1 to 0.5 s) and jitter, and resolves the name each time. Works with hiredis 0.14 and
 * later (no RESP3, no redisConnectWithOptions). Loop thread only.
 *
 * The link is up when the server says that it is a primary (ROLE) and is not loading. The link asks
 * again each second. It drops a server that has stopped being a primary, because another one may
 * now answer to the name. It does the same if the answer to anything sent by redis_link_send begins
 * with READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or UNBLOCKED, and, at most once in 2 s, if it
 * begins with NOREPLICAS. All other errors (TRYAGAIN, OOM, MISCONF, BUSY, …) would either pass or
 * be the same after a reconnection, so the owner handles them. */
#ifndef TALLY_DAEMON_REDIS_LINK_H
#define TALLY_DAEMON_REDIS_LINK_H

#include "core/error.h"

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>

struct redis_link;

struct redis_link_config {
    const char
        *host; /* host name, address, or a path that begins with / for a Unix socket; copied */
    int port;
    const char *password; /* NULL none; copied */
    bool subscribes;      /* on_up subscribes, so the link cannot ask anything: the owner of another
                             connection to the same server resets this one with it */
    void (*on_up)(void *user, redisAsyncContext *redis); /* connected and authenticated */
    void (*on_down)(
        void *user,
        const char *why); /* every pending reply has been called back with NULL before */
    void *user;
};

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config);
void redis_link_free(struct redis_link *link);

/* The connection while it is up, else NULL. */
redisAsyncContext *redis_link_context(struct redis_link *link);

/* Sends a command. `fn` is called once, with NULL if the connection ends. Returns 0, or -1 while it
 * is not up or when out of memory; `fn` is then not called. */
int redis_link_send(struct redis_link *link, redisCallbackFn *fn, void *user, int argc,
                    const char **argv, const size_t *bytes);

/* Why it is not up, in a few words; "" while it is up. Valid until the loop turns. */
const char *redis_link_why(const struct redis_link *link);

/* Sets the password (NULL none; copied). If it differs, reconnects. Returns 1, 0 if it is the same,
 * or -1 when out of memory. */
int redis_link_set_password(struct redis_link *link, const char *password);

/* What an answer to ROLE means: 0 a primary; -1 anything else, and `why` names it; 1 not an answer
 * to ROLE. Pure. */
int redis_link_judge_role(const redisReply *reply, struct error *why);

/* Drops the connection and reconnects after the pause: for a reply that makes no sense, or a reply
 * that did not arrive in time. */
void redis_link_reset(struct redis_link *link, const char *why);

#endif
