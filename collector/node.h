/* One server of the store: whether records may be applied there. The server must keep its data,
 * have a clock near ours, and know the script. Looks again every second. One thread, on a libevent
 * loop. */
#ifndef TALLY_COLLECTOR_NODE_H
#define TALLY_COLLECTOR_NODE_H

#include "redis/redis_nodes.h"

#include <stdbool.h>
#include <stdint.h>

/* What keeps the data safe. The rings also hold the records that were applied last. */
enum node_durability {
    NODE_AOF,      /* an append-only file, and nothing is evicted */
    NODE_REPLICAS, /* replicas, and nothing is evicted: a record leaves its ring only when one has
                    * it. An append-only file is not demanded */
    NODE_SERVICE,  /* the service that runs the server; nothing is checked */
};

struct node;

struct node_config {
    struct redis_nodes *nodes;
    unsigned number; /* redis_nodes' */
    enum node_durability durability;
    bool accelerates;              /* uses the accelerator where the server has it */
    void (*on_looked)(void *user); /* a look has ended */
    void *user;
};

/* The node's link is up. NULL on no memory. */
struct node *node_new(const struct node_config *config);

/* After its link went down: nothing may be under way. NULL is fine. */
void node_free(struct node *node);

/* Call every 100 ms or so. */
void node_tick(struct node *node, uint64_t now_ms);

/* The node has forgotten the script, or lost the accelerator: not ready until the next look
 * succeeds. NULL is fine. */
void node_forgot(struct node *node);

/* The look's answers have not come for some time: the node may be hanging. */
bool node_late(const struct node *node, uint64_t now_ms);

bool node_ready(const struct node *node);         /* may be applied to */
const char *node_why(const struct node *node);    /* why not; "" also during the first look */
bool node_full(const struct node *node);          /* out of memory: it takes no writes */
const char *node_script(const struct node *node); /* register.lua's SHA1 in hex, while
                                                     ready; "" of NULL */

/* The server has the accelerator, and it may be used. NULL is fine. */
bool node_accelerated(const struct node *node);

/* How far its clock is ahead of ours, and whether that is too much. False: not known yet. */
bool node_clock(const struct node *node, int64_t *skew_ms, bool *bad);

/* --- replication --- */

unsigned node_replicas(const struct node *node); /* online, as of the last look */

/* A failover to a replica may take back more than the rings hold: nothing bounds how far a replica
 * is behind (neither durability nor min-replicas-to-write). */
bool node_unbounded(const struct node *node);

/* Moments of replication only rise. Everything answered until now is replicated once
 * node_replicated is at least the present value of node_moment. Without a replica, or
 * without a node (NULL), it never is. */
uint64_t node_moment(const struct node *node);
uint64_t node_replicated(const struct node *node);

#endif
