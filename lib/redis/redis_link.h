/* A connection to a primary on a libevent loop. Reconnects by itself with a growing pause (0.1 to
 * 0.5 s) and jitter. Resolves the name each time, in a separate thread, and tries its addresses
 * in turn. Any callback may send, reset and free. Loop thread only.
 *
 * The link is up when the server says that it is a primary (ROLE) and is not loading. The link asks
 * again each second. It drops a server that has stopped being a primary, because another one may
 * now answer to the name. It does the same if the answer to anything sent by redis_link_send begins
 * with READONLY, LOADING, MASTERDOWN, CLUSTERDOWN or UNBLOCKED, and, at most once in 2 s, if it
 * begins with NOREPLICAS. All other errors (TRYAGAIN, OOM, MISCONF, BUSY, …) would either pass or
 * be the same after a reconnection, so the owner handles them. While an answer is awaited, 2 s in
 * which nothing arrives end the connection, too. */
#ifndef TALLY_REDIS_REDIS_LINK_H
#define TALLY_REDIS_REDIS_LINK_H

#include "core/error.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_link;
struct redis_tls;

/* An answer, or a message of a channel; valid during the call. NULL: the connection ended, and the
 * answer will not come. */
typedef void redis_link_cb(void *user, const redisReply *reply);

struct redis_link_config {
    const char
        *host; /* host name, address, or a path that begins with / for a Unix socket; copied */
    int port;
    const char *username;      /* of the ACL; NULL: Redis's default user; copied */
    const char *password;      /* NULL none; copied */
    int db;                    /* number of the database */
    const char *prefix;        /* of Tally's keys; NULL: "tally:"; copied */
    struct redis_tls *tls;     /* NULL: without TLS; outlives the link */
    bool any_role;             /* only to ask a server who owns what: up whatever its role is; no
                                  answer ends the link; logs nothing above debug */
    redis_link_cb *on_message; /* not NULL: the link is for subscribing. on_up subscribes, and this
                                  is called with each message and each confirmation, never with
                                  NULL. Such a link cannot ask for the role: the owner of another
                                  connection to the same server resets this one with it */
    void (*on_up)(void *user); /* connected and authenticated; may be NULL */
    void (*on_down)(void *user, const char *why); /* after an on_up; every answer under way has been
                                                     called back with NULL before; may be NULL */
    void *user;
};

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config);
void redis_link_free(struct redis_link *link);

bool redis_link_up(const struct redis_link *link);

/* Sends a command. `fn` is called once with its answer (on a subscribing link: never). NULL: nobody
 * waits for it. Returns 0, or -1 while it is not up, when out of memory, or when 64 MiB wait to be
 * sent already; `fn` is then not called. */
int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes);

/* How many of the owner's commands have no answer yet. */
unsigned redis_link_awaited(const struct redis_link *link);

/* Connections that ended because an answer did not come in time. */
uint64_t redis_link_timeouts(const struct redis_link *link);

/* Why it is not up, in a few words; "" while it is up. Valid until the loop turns. */
const char *redis_link_why(const struct redis_link *link);

/* Sets the password (NULL none; copied). If it differs, reconnects. Returns 1, 0 if it is the same,
 * or -1 when out of memory. */
int redis_link_set_password(struct redis_link *link, const char *password);

/* What an answer to ROLE means: 0 a primary; -1 anything else, and `why` names it; 1 not an answer
 * to ROLE. Pure. */
int redis_link_judge_role(const redisReply *reply, struct error *why);

/* Drops the connection and reconnects after the pause; the loop does both. No answer that comes
 * from now on is handed out: each waiting caller is called back with NULL. Use it after a reply
 * that makes no sense, or to leave the server of a subscription. */
void redis_link_reset(struct redis_link *link, const char *why);

#endif
