/* One server, which owns every place. */
#include "redis/redis_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 300

struct redis_nodes {
    struct redis_nodes_config config;
    struct redis_link *link;
    bool up;
    uint64_t generation, reconnects;
    char name[NAME_BYTES];
};

static void tell(struct redis_nodes *nodes, bool up)
{
    if (nodes->config.on_node != NULL)
        nodes->config.on_node(nodes->config.user, 0, up);
    for (unsigned place = 0; place < REDIS_PLACES && nodes->up == up; place++)
        nodes->config.on_place(nodes->config.user, place, up);
}

static void on_up(void *user)
{
    struct redis_nodes *nodes = user;
    nodes->up = true;
    nodes->generation++;
    tell(nodes, true);
}

static void on_down(void *user, const char *why)
{
    struct redis_nodes *nodes = user;
    (void)why;
    nodes->up = false;
    nodes->generation++;
    nodes->reconnects++;
    tell(nodes, false);
}

struct redis_nodes *redis_nodes_new(struct event_base *base,
                                    const struct redis_nodes_config *config)
{
    struct redis_nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes == NULL)
        return NULL;
    nodes->config = *config;
    struct redis_link_config link = config->link;
    link.on_message = NULL;
    link.on_up = on_up;
    link.on_down = on_down;
    link.user = nodes;
    snprintf(nodes->name, sizeof nodes->name, "%s:%d", link.host, link.port);
    nodes->link = redis_link_new(base, &link);
    if (nodes->link == NULL) {
        free(nodes);
        return NULL;
    }
    return nodes;
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    if (nodes == NULL)
        return;
    redis_link_free(nodes->link);
    free(nodes);
}

int redis_nodes_owner(const struct redis_nodes *nodes, unsigned place)
{
    (void)place;
    return nodes->up ? 0 : -1;
}

uint64_t redis_nodes_generation(const struct redis_nodes *nodes, unsigned place)
{
    (void)place;
    return nodes->generation;
}

const char *redis_nodes_why(const struct redis_nodes *nodes, unsigned place)
{
    (void)place;
    return redis_link_why(nodes->link);
}

int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes)
{
    (void)place;
    return redis_link_send(nodes->link, fn, user, argc, argv, bytes);
}

bool redis_nodes_moving(struct redis_nodes *nodes, const char *error)
{
    (void)nodes;
    (void)error;
    return false;
}

bool redis_nodes_up(const struct redis_nodes *nodes, unsigned node)
{
    return node == 0 && nodes->up;
}

int redis_nodes_send_node(struct redis_nodes *nodes, unsigned node, redis_link_cb *fn, void *user,
                          int argc, const char **argv, const size_t *bytes)
{
    return node == 0 ? redis_link_send(nodes->link, fn, user, argc, argv, bytes) : -1;
}

const char *redis_nodes_name(const struct redis_nodes *nodes, unsigned node)
{
    (void)node;
    return nodes->name;
}

bool redis_nodes_cluster(const struct redis_nodes *nodes)
{
    (void)nodes;
    return false;
}

unsigned redis_nodes_awaited(const struct redis_nodes *nodes)
{
    return redis_link_awaited(nodes->link);
}

uint64_t redis_nodes_timeouts(const struct redis_nodes *nodes)
{
    return redis_link_timeouts(nodes->link);
}

uint64_t redis_nodes_reconnects(const struct redis_nodes *nodes)
{
    return nodes->reconnects;
}

void redis_nodes_reset(struct redis_nodes *nodes, unsigned place, const char *why)
{
    (void)place;
    redis_link_reset(nodes->link, why);
}

int redis_nodes_set_password(struct redis_nodes *nodes, const char *password)
{
    return redis_link_set_password(nodes->link, password);
}
