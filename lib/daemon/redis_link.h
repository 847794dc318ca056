/* A hiredis async connection to a primary on a libevent loop, which reconnects by itself, resolving
 * the name anew, with a growing pause (0.1 to 0.5 s) and jitter. hiredis 0.14 and later (no RESP3,
 * no redisConnectWithOptions). Loop thread only.
 *
 * Up means that the server says that it is a primary (ROLE), and that it is not loading. It is
 * asked again each second. A server that is a primary no longer, or whose answer to anything that
 * was sent by redis_link_send begins with READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or UNBLOCKED,
 * is left, as another one may stand behind its name; so is, once in 2 s at most, one that answers
 * NOREPLICAS. All other errors (TRYAGAIN, OOM, MISCONF, BUSY, …) would be the same after
 * reconnecting, or pass: they are the owner's. */
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
    const char *password; /* NULL none; copied */
    bool subscribes;      /* on_up subscribes, so nothing can be asked: who else has a connection to
                             the same server resets this one with it */
    void (*on_up)(void *user, redisAsyncContext *redis); /* connected and authenticated */
    void (*on_down)(
        void *user,
        const char *why); /* every reply under way has been called back with NULL before */
    void *user;
};

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config);
void redis_link_free(struct redis_link *link);

/* The connection while it is up, else NULL. */
redisAsyncContext *redis_link_context(struct redis_link *link);

/* Sends a command; `fn` is called once, with NULL where the connection ends. Returns 0, or -1 while
 * it is not up or on no memory: fn is not called. */
int redis_link_send(struct redis_link *link, redisCallbackFn *fn, void *user, int argc,
                    const char **argv, const size_t *bytes);

/* Why it is not up, in a few words; "" while it is. Valid until the loop turns. */
const char *redis_link_why(const struct redis_link *link);

/* Another password from now on (NULL none; copied): where it is another, the connection is made
 * anew. Returns 1, 0 where it is the same, or -1 on no memory. */
int redis_link_set_password(struct redis_link *link, const char *password);

/* What an answer to ROLE means: 0 a primary; -1 none, and `why` says what it is; 1 no such answer.
 * Pure. */
int redis_link_judge_role(const redisReply *reply, char *why, size_t why_bytes);

/* Drops the connection and begins anew after the pause: for a reply that makes no sense, or none
 * within the time allowed. */
void redis_link_reset(struct redis_link *link, const char *why);

#endif
