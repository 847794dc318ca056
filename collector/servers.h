/* The servers of the store, each checked by node.h, and a summary of all of them. One thread,
 * on a libevent loop. */
#ifndef TALLY_COLLECTOR_SERVERS_H
#define TALLY_COLLECTOR_SERVERS_H

#include "node.h"

#include "redis/redis_nodes.h"

#include <stddef.h>

struct servers;

struct servers_config {
    struct redis_link_config link; /* as redis_nodes_config's */
    const struct redis_url *url;   /* the same */
    enum node_durability durability;
    bool accelerates;              /* node_config's */
    void (*on_looked)(void *user); /* one of them was looked at, or again */
    /* The clock was compared: how far one of theirs is ahead of ours at most, and how many of them
     * are off too much. */
    void (*on_clock)(void *user, int64_t skew_ms, unsigned off, unsigned servers);
    void (*on_place)(void *user, unsigned place, bool up); /* redis_nodes_config's */
    void *user;
};

struct servers *servers_new(struct event_base *base, const struct servers_config *config);

/* Calls back what is under way. NULL is fine. */
void servers_free(struct servers *servers);

/* Call every 100 ms or so. */
void servers_tick(struct servers *servers, uint64_t now_ms);

/* A server's answer is late (node_late). */
bool servers_late(const struct servers *servers, uint64_t now_ms);

struct redis_nodes *servers_nodes(struct servers *servers);

/* The place's owner while it is there, or NULL. */
struct node *servers_owner(const struct servers *servers, unsigned place);

/* How many of the first `shards` shards have a node that is away. */
unsigned servers_away(const struct servers *servers, unsigned shards);

/* The server whose clock is furthest from ours, as host:port; "" if none is known. */
const char *servers_clock_node(const struct servers *servers);

/* The first reason why the node of one of `shards` shards, or of tally:store, cannot be used, or
 * is a risk; "". Names the shards that have a reason, unless all have the same. */
void servers_reason(const struct servers *servers, unsigned shards, char *reason, size_t bytes);

#endif
