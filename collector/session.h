/* The store in Redis, which is one server or several (redis_nodes.h): whose it is, and which of its
 * shards may be applied to. A shard may be if the store is this edge's, the shard belongs to it,
 * and the shard's node is ready (node.h). What happens to one node stops no other node's shards.
 * Looks again every second. One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_SESSION_H
#define TALLY_COLLECTOR_SESSION_H

#include "node.h"
#include "store.h"

#include "redis/redis_nodes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_WHY_BYTES 256

struct session;

struct session_config {
    struct redis_link_config link; /* as redis_nodes_config's */
    const struct redis_url *url;   /* the same */
    bool adopt;                    /* accept another store, once */
    enum node_durability durability;
    bool accelerates; /* node_config's */
    /* What the rings hold; sets all of `out`. Called before each judgement. */
    void (*rings)(void *user, struct store_rings *out);
    /* The store is accepted, now or again. `adopted`: although the rings have applied to another.
     */
    void (*on_ready)(void *user, bool adopted);
    /* The clock was compared with the servers': how far one of theirs is ahead of ours at most, and
     * how many of them are off too much. */
    void (*on_clock)(void *user, int64_t skew_ms, unsigned off, unsigned servers);
    void *user;
};

struct session *session_new(struct event_base *base, const struct session_config *config);
void session_free(struct session *session);

/* Call every 100 ms or so: checks Redis every second. */
void session_tick(struct session *session);

/* The rings, or Redis's data, may have changed: judges the last accepted store again at
 * once, and reads tally:store again. */
void session_look(struct session *session);

/* redis_link_set_password, for all servers. */
int session_set_password(struct session *session, const char *password);

/* --- the store --- */

const char *session_why(const struct session *session); /* why it is not accepted; "" */
bool session_accepted(const struct session *session);
const struct store *session_store(const struct session *session); /* as accepted last */
const char *session_prefix(const struct session *session);        /* of every key */
uint64_t session_reconnects(const struct session *session);
unsigned session_awaited(const struct session *session);           /* commands under way */
bool session_late(const struct session *session, uint64_t now_ms); /* a server may be hanging */

/* --- a shard --- */

bool session_ready(const struct session *session, unsigned shard); /* may be applied to */

/* Rises whenever Redis may have lost what the shard applied last (redis_nodes.h). */
uint64_t session_generation(const struct session *session, unsigned shard);

/* --adopt was used for the store: the next question for a position of this shard adopts the shard,
 * too. It is asked until session_adopted. */
bool session_adopts(const struct session *session, unsigned shard);
void session_adopted(struct session *session, unsigned shard);

/* Sends a command to the shard's node. `fn` is called once, with NULL if the connection ends or the
 * generation rises before the answer. Returns 0, or -1 while disconnected: then fn is not called.
 */
int session_send(struct session *session, unsigned shard, redis_link_cb *fn, void *user, int argc,
                 const char **argv, const size_t *bytes);

/* register.lua's SHA1 in hex, while ready. */
const char *session_script(const struct session *session, unsigned shard);

/* node_accelerated of the shard's node. */
bool session_accelerated(const struct session *session, unsigned shard);

/* An answer about this shard. NOSCRIPT: its node has to learn the script again. */
void session_forgot(struct session *session, unsigned shard);

/* … An error: whether it says that the shard is on its way to another node (redis_nodes_moving). */
bool session_moving(struct session *session, const char *error);

/* Whether records leave their ring only when a replica has them. If so, note session_moment:
 * records answered by now may leave once session_replicated is at least that. Both belong to
 * one generation. */
bool session_replicates(const struct session *session);

/* Redis is a cluster, as far as is known. */
bool session_cluster(const struct session *session);
uint64_t session_moment(const struct session *session, unsigned shard);
uint64_t session_replicated(const struct session *session, unsigned shard);

/* --- reports --- */

/* tally:store and all of the first `shards` shards have a node that is there. */
bool session_up(const struct session *session, unsigned shards);

/* How many of the first `shards` shards have a node that is away. */
unsigned session_away(const struct session *session, unsigned shards);

/* The server whose clock is furthest from ours, as host:port; "" if none is known. */
const char *session_clock_node(const struct session *session);

/* The first reason why one of `shards` shards is not ready, or why its node is a risk; "". Names
 * the shards that have a reason, unless all have the same. A repeated look under way does not count
 * as a reason. */
void session_reason(const struct session *session, unsigned shards, char reason[SESSION_WHY_BYTES]);

#endif
