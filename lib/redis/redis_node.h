/* One server of redis_nodes: its link, and while that is up, the second link where there is
 * something to subscribe to. Only redis_nodes uses it, and its fields. Loop thread only. */
#ifndef TALLY_REDIS_REDIS_NODE_H
#define TALLY_REDIS_REDIS_NODE_H

#include "redis/redis_link.h"
#include "redis/redis_map.h"
#include "redis/redis_survey.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum redis_node_news {
    REDIS_NODE_UP,
    REDIS_NODE_DOWN,       /* the subscribing link is gone with it */
    REDIS_NODE_LISTENS,    /* the subscribing link is up */
    REDIS_NODE_LISTENS_NOT /* it was lost */
};

struct redis_node;

/* What all nodes have in common; it outlives them. */
struct redis_node_config {
    struct redis_link_config link; /* how to reach a server; owns its strings */
    void (*on_news)(void *user, struct redis_node *node, enum redis_node_news news);
    redis_link_cb *on_message; /* NULL: no subscribing link */
    void *user;                /* of on_news */
    void *message_user;        /* of on_message */
};

/* Sets `link` to a copy of `from`, for an owner's link; the other fields stay. Returns 0, or -1
 * when out of memory; call redis_node_config_fini in any case. */
int redis_node_config_init(struct redis_node_config *config, const struct redis_link_config *from);
void redis_node_config_fini(struct redis_node_config *config);

/* Sets the password of links that are still to be made (NULL none; copied). Returns 1, 0 if it is
 * the same, or -1 when out of memory. */
int redis_node_config_password(struct redis_node_config *config, const char *password);

#define REDIS_NODE_NAME_BYTES (REDIS_HOST_BYTES + 8)

/* {0}: not in use. */
struct redis_node {
    const struct redis_node_config *config;
    struct event_base *base;
    struct redis_link *link;     /* NULL: not in use */
    struct redis_link *listener; /* NULL: none, or `link` is not up */
    struct redis_address at;
    struct redis_question question; /* over `link` */
    bool up;     /* from the link's on_up to its on_down; a link that is being dropped is not up
                    itself, but its answers have not been called back yet */
    bool lost;   /* it went down, and redis_nodes has not announced that yet */
    bool told;   /* redis_nodes has announced it as up */
    bool wanted; /* by the map, or as the seed that is tried */
    char name[REDIS_NODE_NAME_BYTES]; /* host:port, or the path of a socket */
};

/* Returns 0, or -1 when out of memory; the node is then not in use. The node must stay where it
 * is. */
int redis_node_open(struct redis_node *node, struct event_base *base,
                    const struct redis_node_config *config, const struct redis_address *at);

/* Commands under way are called back with NULL while the node counts as not in use. on_news is not
 * called. Not in a callback of a link. */
void redis_node_close(struct redis_node *node);

/* How many of the user's commands have no answer yet. */
unsigned redis_node_awaited(const struct redis_node *node);

/* Returns 0, or -1 when out of memory. */
int redis_node_set_password(struct redis_node *node, const char *password);

#endif
