/* The connection to Redis, and whether records may be applied there: it must keep its data, its
 * store must be this edge's, and its clock must match ours. Checks again every second. One thread,
 * on a libevent loop. */
#ifndef TALLY_COLLECTOR_SESSION_H
#define TALLY_COLLECTOR_SESSION_H

#include "store.h"

#include "redis/redis_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

struct session_config {
    struct redis_link_config link; /* on_up, on_down and user are the session's */
    bool adopt;                    /* accept another store, once */
    bool volatile_redis;           /* accept one that may lose its data */
    /* What the rings hold. Called before each judgement. */
    void (*rings)(void *user, struct store_rings *out);
    /* The store is accepted, now or again. `adopted`: although the rings have applied to another.
     */
    void (*on_ready)(void *user, bool adopted);
    /* The clock was compared with Redis's: how far ours is behind, and whether that is too much. */
    void (*on_clock)(void *user, int64_t skew_ms, bool bad);
    void *user;
};

struct session *session_new(struct event_base *base, const struct session_config *config);
void session_free(struct session *session);

/* Call every 100 ms or so: checks Redis every second, and drops a connection that does not answer.
 */
void session_tick(struct session *session);

/* Redis's contents may have changed: not ready until the next look succeeds. */
void session_look(struct session *session);

/* redis_link_set_password. */
int session_set_password(struct session *session, const char *password);

bool session_up(const struct session *session);         /* connected to a primary */
bool session_ready(const struct session *session);      /* may be applied to */
const char *session_why(const struct session *session); /* why not, "" */
bool session_adopts(const struct session *session); /* --adopt is not used up; on_ready uses it */
bool session_full(const struct session *session);   /* Redis is out of memory: it takes no writes */
const struct store *session_store(const struct session *session); /* while ready */
uint64_t session_reconnects(const struct session *session);

/* Commands under way. */
unsigned session_awaited(const struct session *session);

/* Sends a command. `fn` is called once, with NULL if the connection ends. Returns 0, or -1 while
 * disconnected: then fn is not called. */
int session_send(struct session *session, redis_link_cb *fn, void *user, int argc,
                 const char **argv, const size_t *bytes);

/* register.lua's SHA1 in hex, while ready. */
const char *session_script(const struct session *session);

#endif
