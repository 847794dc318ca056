/* The servers of one store, and which of them owns what: a single Redis, the primary that Sentinels
 * name, or the nodes of a Redis or Valkey Cluster, each with its own link (redis_link.h).
 * Which of these it is comes from their answers. Loop thread only.
 *
 * A place is what a command is about: a shard, or the store itself (`tally:store`). Each place has
 * an owner, the node that has its keys. A single Redis owns them all. In a cluster, the nodes are
 * asked in turn which places they own: each second, and soon after an answer that shows that a
 * place has moved.
 *
 * The owner of a place may change, or lose its link, and what was written there last may be lost
 * with it. So each place has a generation. It rises whenever another node, or the same one after a
 * lost link, becomes the owner. A caller that keeps books about a place compares generations and
 * starts again where they differ. Nothing else is remembered across them. Commands under way are
 * called back, with NULL if their answers will not come, before the new generation is announced. A
 * former owner can still answer after it: redis_nodes_send calls back with NULL then, because what
 * that server did may be lost. */
#ifndef TALLY_REDIS_REDIS_NODES_H
#define TALLY_REDIS_REDIS_NODES_H

#include "redis/redis_key.h"
#include "redis/redis_link.h"
#include "redis/redis_map.h"
#include "redis/redis_url.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_nodes;

struct redis_nodes_config {
    struct redis_link_config link; /* how to reach a server. Its callbacks and `user` are ignored.
                                      What it points to is copied, except `tls` */
    const struct redis_url *url; /* the seeds, or the Sentinels; copied. NULL: the server in `link`
                                    is the only seed */

    /* A node's link is up, or it is down again. Between the two calls the number means this node;
     * later it may mean another one. Called before on_place. May be NULL. */
    void (*on_node)(void *user, unsigned node, bool up);

    /* The place has an owner whose link is up, in a new generation; or it no longer has one. */
    void (*on_place)(void *user, unsigned place, bool up);

    /* Not NULL: redis_nodes keeps a second link to each owner, for subscribing. It connects as soon
     * as the first is up, without a pause, and ends with it. on_subscribe is
     * called for each shard whose owner is up, once that link is up, and again after it was lost or
     * the shard got another owner. The user then sends SSUBSCRIBE over `link`; each message and
     * each confirmation comes to on_message. */
    redis_link_cb *on_message;
    void (*on_subscribe)(void *user, struct redis_link *link, unsigned place);
    void *user;
};

struct redis_nodes *redis_nodes_new(struct event_base *base,
                                    const struct redis_nodes_config *config);

/* Commands under way are called back with NULL; on_node and on_place are not called. */
void redis_nodes_free(struct redis_nodes *nodes);

/* --- places --- */

/* The number of the place's owner while its link is up; -1 while there is none. */
int redis_nodes_owner(const struct redis_nodes *nodes, unsigned place);

/* Rises with each new owner and each lost link; 0 before the first owner was up. */
uint64_t redis_nodes_generation(const struct redis_nodes *nodes, unsigned place);

/* Why the place has no owner, in a few words; "" while it has one. Valid until the loop turns. */
const char *redis_nodes_why(const struct redis_nodes *nodes, unsigned place);

/* Sends a command about this place to its owner, as redis_link_send. `fn` is also called with NULL
 * if the place's generation has risen by the time of the answer. So an answer is always the current
 * owner's. Memory for each command: returns -1 also when there is none. */
int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes);

/* Whether this error says that the place is elsewhere, is on its way elsewhere, or that its owner
 * is not ready for it: MOVED, ASK, TRYAGAIN, CLUSTERDOWN, and a script's access to a non local key.
 * The place then waits; the nodes are asked soon who has it. `error` NULL: false. */
bool redis_nodes_moving(struct redis_nodes *nodes, const char *error);

/* --- nodes: commands to each server, whatever it owns --- */

bool redis_nodes_up(const struct redis_nodes *nodes, unsigned node);

/* As redis_link_send. The answer is the node's, whatever it owns by then. */
int redis_nodes_send_node(struct redis_nodes *nodes, unsigned node, redis_link_cb *fn, void *user,
                          int argc, const char **argv, const size_t *bytes);
const char *redis_nodes_name(const struct redis_nodes *nodes, unsigned node); /* host:port */

/* --- all --- */

/* Of every key (redis_key). */
const char *redis_nodes_prefix(const struct redis_nodes *nodes);

bool redis_nodes_cluster(const struct redis_nodes *nodes); /* it is a cluster, as far as is known */
unsigned redis_nodes_awaited(const struct redis_nodes *nodes);  /* of all nodes */
uint64_t redis_nodes_timeouts(const struct redis_nodes *nodes); /* redis_link_timeouts, summed up */
uint64_t redis_nodes_reconnects(const struct redis_nodes *nodes); /* links that were up and lost */

/* Ends the connection to the place's owner, which gave an answer that makes no sense. */
void redis_nodes_reset(struct redis_nodes *nodes, unsigned place, const char *why);

/* Ends the connection to the node: what it answered before may no longer be so. */
void redis_nodes_reset_node(struct redis_nodes *nodes, unsigned node, const char *why);

/* redis_link_set_password, for all nodes, now and later. */
int redis_nodes_set_password(struct redis_nodes *nodes, const char *password);

#endif
