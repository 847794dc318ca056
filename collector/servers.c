/* Keeps a node for each server while it is there. */
#include "servers.h"

#include "status.h"

#include "core/shard_names.h"
#include "daemon/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES 256

struct servers {
    struct servers_config config;
    struct redis_nodes *nodes;
    struct node *node[REDIS_NODES_MAX];
    int clock_node; /* whose clock is furthest from ours; -1: not known */
    bool warned;    /* that nothing bounds what a failover takes back */
};

/* The largest skew, whose it is, and how many are off. */
static void compare_clocks(struct servers *servers)
{
    int64_t worst_ms = 0, skew_ms;
    unsigned known = 0, off = 0;
    bool bad;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        if (servers->node[i] == NULL || !node_clock(servers->node[i], &skew_ms, &bad))
            continue;
        known++;
        off += bad;
        if (known == 1 || llabs(skew_ms) > llabs(worst_ms)) {
            worst_ms = skew_ms;
            servers->clock_node = (int)i;
        }
    }
    if (known > 0)
        servers->config.on_clock(servers->config.user, worst_ms, off, known);
}

static void warn_once(struct servers *servers)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX && !servers->warned; i++) {
        servers->warned = servers->node[i] != NULL && node_unbounded(servers->node[i]);
        if (servers->warned)
            log_line(LOG_LEVEL_WARNING,
                     "a failover may take back more than the rings still hold: set durability to "
                     "replicas, or min-replicas-to-write in Redis",
                     "node=%s", redis_nodes_name(servers->nodes, i));
    }
}

static void on_looked(void *user)
{
    struct servers *servers = user;
    compare_clocks(servers);
    warn_once(servers);
    servers->config.on_looked(servers->config.user);
}

static void on_node(void *user, unsigned number, bool up)
{
    struct servers *servers = user;
    const struct node_config config = {
        .nodes = servers->nodes,
        .number = number,
        .durability = servers->config.durability,
        .accelerates = servers->config.accelerates,
        .on_looked = on_looked,
        .user = servers,
    };
    node_free(servers->node[number]);
    servers->node[number] = up ? node_new(&config) : NULL;
}

static void on_place(void *user, unsigned place, bool up)
{
    struct servers *servers = user;
    servers->config.on_place(servers->config.user, place, up);
}

struct servers *servers_new(struct event_base *base, const struct servers_config *config)
{
    struct servers *servers = calloc(1, sizeof *servers);
    if (servers == NULL)
        return NULL;
    servers->config = *config;
    servers->clock_node = -1;
    const struct redis_nodes_config nodes = {
        .link = config->link,
        .url = config->url,
        .on_node = on_node,
        .on_place = on_place,
        .user = servers,
    };
    servers->nodes = redis_nodes_new(base, &nodes);
    if (servers->nodes == NULL) {
        free(servers);
        return NULL;
    }
    return servers;
}

void servers_free(struct servers *servers)
{
    if (servers == NULL)
        return;
    redis_nodes_free(servers->nodes);
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        node_free(servers->node[i]);
    free(servers);
}

void servers_tick(struct servers *servers, uint64_t now_ms)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (servers->node[i] != NULL)
            node_tick(servers->node[i], now_ms);
}

bool servers_late(const struct servers *servers, uint64_t now_ms)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (servers->node[i] != NULL && node_late(servers->node[i], now_ms))
            return true;
    return false;
}

struct redis_nodes *servers_nodes(struct servers *servers)
{
    return servers->nodes;
}

struct node *servers_owner(const struct servers *servers, unsigned place)
{
    int number = redis_nodes_owner(servers->nodes, place);
    return number >= 0 ? servers->node[number] : NULL;
}

const char *servers_clock_node(const struct servers *servers)
{
    return servers->clock_node >= 0
               ? redis_nodes_name(servers->nodes, (unsigned)servers->clock_node)
               : "";
}

unsigned servers_away(const struct servers *servers, unsigned shards)
{
    unsigned away = 0;
    for (unsigned i = 0; i < shards; i++)
        away += redis_nodes_owner(servers->nodes, i) < 0;
    return away;
}

/* Why the place's node cannot be used, or is a risk. */
static void node_reason(const struct servers *servers, unsigned place, char reason[REASON_BYTES])
{
    const struct node *node = servers_owner(servers, place);
    reason[0] = '\0';
    if (node == NULL)
        snprintf(reason, REASON_BYTES, "redis: away: %.200s",
                 redis_nodes_why(servers->nodes, place));
    else if (!node_ready(node))
        snprintf(reason, REASON_BYTES, "%s", node_why(node));
    else if (node_full(node))
        snprintf(reason, REASON_BYTES, STATUS_FULL);
    else if (servers->config.durability == NODE_REPLICAS && node_replicas(node) == 0)
        snprintf(reason, REASON_BYTES,
                 "redis: no replica, so the rings keep everything until they are full");
}

void servers_reason(const struct servers *servers, unsigned shards, char *reason, size_t bytes)
{
    char first[REASON_BYTES] = "", its[REASON_BYTES], names[SHARD_NAMES_BYTES];
    bool of[REDIS_PLACE_STORE] = {false};
    unsigned same = 0, n = 0;
    for (unsigned i = 0; i < shards && i < REDIS_PLACE_STORE; i++) {
        node_reason(servers, i, its);
        if (n == 0)
            memcpy(first, its, sizeof first);
        of[i] = its[0] != '\0';
        n += of[i];
        same += of[i] && strcmp(its, first) == 0;
    }
    if (n == 0)
        node_reason(servers, REDIS_PLACE_STORE, first);
    shard_names_write(names, of, shards);
    if (n == 0 || same == shards)
        snprintf(reason, bytes, "%s", first);
    else
        snprintf(reason, bytes, "%s: %.150s", names, first);
}
