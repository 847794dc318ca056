/* The connection to Redis and whether it may be applied to: that it keeps its data, that its store
 * is this edge's, that its clock is ours. Looks again each second. One thread, on a libevent loop.
 */
#ifndef TALLY_COLLECTOR_SESSION_H
#define TALLY_COLLECTOR_SESSION_H

#include "store.h"

#include "daemon/redis_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

struct session_config {
    struct redis_link_config link; /* on_up, on_down and user are the session's */
    bool adopt;                    /* accept another store, once */
    bool volatile_redis;           /* accept one that may lose its data */
    /* What the rings say. Called before each judgement. */
    void (*rings)(void *user, struct store_rings *out);
    /* The store is accepted, now or again. `adopted`: though the rings have applied to another. */
    void (*on_ready)(void *user, bool adopted);
    /* The clock was compared with Redis's: how far ours is behind, and whether that is too much. */
    void (*on_clock)(void *user, int64_t skew_ms, bool bad);
    void *user;
};

struct session *session_new(struct event_base *base, const struct session_config *config);
void session_free(struct session *session);

/* Each 100 ms or so: looks at Redis each second, and drops a connection that does not answer. */
void session_tick(struct session *session);

/* What Redis holds may have changed: not ready until it was looked at again. */
void session_look(struct session *session);

/* redis_link_set_password. */
int session_set_password(struct session *session, const char *password);

bool session_up(const struct session *session);         /* connected to a primary */
bool session_ready(const struct session *session);      /* may be applied to */
const char *session_why(const struct session *session); /* why not, "" */
bool session_full(const struct session *session); /* Redis takes no writes for want of memory */
const struct store *session_store(const struct session *session); /* while ready */
uint64_t session_reconnects(const struct session *session);

/* Commands under way. */
unsigned session_awaited(const struct session *session);

/* Sends a command; `fn` is called once, with NULL where the connection ends, and must begin with
 * session_heard. Returns 0, or -1 while away: fn is not called. */
int session_send(struct session *session, redisCallbackFn *fn, void *user, int argc,
                 const char **argv, const size_t *bytes);
void session_heard(struct session *session);

/* register.lua's SHA1 in hex, while ready. */
const char *session_script(const struct session *session);

#endif
