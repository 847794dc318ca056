/* The subscribing link cannot ask for the role. So it is there only while the other link is up, and
 * never outlives the server's time as a primary by more than a second. */
#include "redis/redis_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what all nodes have in common --- */

static void forget_secret(const char *secret)
{
    if (secret != NULL)
        explicit_bzero((char *)secret, strlen(secret));
    free((char *)secret);
}

/* NULL stays NULL. False: out of memory. */
static bool redis_node_copied(const char **copy, const char *text)
{
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

int redis_node_config_init(struct redis_node_config *config, const struct redis_link_config *from)
{
    struct redis_link_config *link = &config->link;
    *link = (struct redis_link_config){.db = from->db, .tls = from->tls};
    return redis_node_copied(&link->prefix,
                             from->prefix != NULL ? from->prefix : REDIS_KEY_PREFIX) &&
                   redis_node_copied(&link->username, from->username) &&
                   redis_node_copied(&link->password, from->password)
               ? 0
               : -1;
}

void redis_node_config_fini(struct redis_node_config *config)
{
    forget_secret(config->link.password);
    free((char *)config->link.username);
    free((char *)config->link.prefix);
    config->link = (struct redis_link_config){0};
}

int redis_node_config_password(struct redis_node_config *config, const char *password)
{
    const char *own;
    struct redis_link_config *link = &config->link;
    if (password == NULL ? link->password == NULL
                         : link->password != NULL && strcmp(password, link->password) == 0)
        return 0;
    if (!redis_node_copied(&own, password))
        return -1;
    forget_secret(link->password);
    link->password = own;
    return 1;
}

/* --- one node --- */

static void on_listener_up(void *user)
{
    struct redis_node *node = user;
    node->config->on_news(node->config->user, node, REDIS_NODE_LISTENS);
}

static void on_listener_down(void *user, const char *why)
{
    struct redis_node *node = user;
    (void)why;
    node->config->on_news(node->config->user, node, REDIS_NODE_LISTENS_NOT);
}

static void on_message(void *user, const redisReply *reply)
{
    struct redis_node *node = user;
    node->config->on_message(node->config->message_user, reply);
}

/* Connects at once: a second pause would be added to the other link's. */
static int redis_node_listen(struct redis_node *node)
{
    struct redis_link_config link = node->config->link;
    link.host = node->at.host;
    link.port = node->at.port;
    link.user = node;
    link.on_message = on_message;
    link.on_up = on_listener_up;
    link.on_down = on_listener_down;
    node->listener = redis_link_new(node->base, &link);
    return node->listener != NULL ? 0 : -1;
}

static void on_up(void *user)
{
    struct redis_node *node = user;
    node->up = true;
    if (node->config->on_message != NULL && redis_node_listen(node) != 0)
        redis_link_reset(node->link, "no memory for a second connection");
    node->config->on_news(node->config->user, node, REDIS_NODE_UP);
}

static void on_down(void *user, const char *why)
{
    struct redis_node *node = user;
    (void)why;
    node->up = false;
    node->lost = true;
    redis_link_free(node->listener);
    node->listener = NULL;
    node->config->on_news(node->config->user, node, REDIS_NODE_DOWN);
}

int redis_node_open(struct redis_node *node, struct event_base *base,
                    const struct redis_node_config *config, const struct redis_address *at)
{
    *node = (struct redis_node){.config = config, .base = base, .at = *at};
    struct redis_link_config link = config->link;
    snprintf(node->name, sizeof node->name, at->host[0] == '/' ? "%s" : "%s:%d", at->host,
             at->port);
    link.host = node->at.host;
    link.port = at->port;
    link.user = node;
    link.on_up = on_up;
    link.on_down = on_down;
    node->link = redis_link_new(base, &link);
    return node->link != NULL ? 0 : -1;
}

void redis_node_close(struct redis_node *node)
{
    struct redis_link *link = node->link, *listener = node->listener;
    node->link = node->listener = NULL;
    node->up = node->lost = false;
    redis_link_free(link);
    redis_link_free(listener);
}

unsigned redis_node_awaited(const struct redis_node *node)
{
    return node->link != NULL ? redis_link_awaited(node->link) - node->question.awaited : 0;
}

int redis_node_set_password(struct redis_node *node, const char *password)
{
    bool failed = node->link != NULL && redis_link_set_password(node->link, password) < 0;
    failed |= node->listener != NULL && redis_link_set_password(node->listener, password) < 0;
    return failed ? -1 : 0;
}
