/* The HTTP server's connections: how many each address may have, how long each may take, and
 * whose request is answered next. Every address is charged for its cost (visitors.h,
 * http_budget.h). A part of http. Loop thread only. */
#ifndef TALLY_FEED_HTTP_CONNECTIONS_H
#define TALLY_FEED_HTTP_CONNECTIONS_H

#include "core/address.h"
#include "visitors.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_connections;

struct http_connections_config {
    void (*on_replaced)(void *user, int status); /* evhttp answered by itself, with this status */
    /* It is the turn of a request that waited. */
    void (*on_turn)(void *user, struct visitors_request *request);
    /* The connection of a request that waited is closed: it gets no turn. */
    void (*on_dropped)(void *user, struct visitors_request *request);
    void *user;
    uint64_t rate;                      /* as in struct http_config */
    const struct address_nets *proxies; /* read by http_connections_new only */
    uint64_t seed;
};

struct http_connections_stats {
    size_t open;
    size_t waiting;   /* requests, for their turn */
    uint64_t dropped; /* over the bound, or too slow */
    uint64_t rests;   /* times that an address used up its budget */
    size_t refused;   /* addresses whose further connections are refused now (http_gate.h) */
};

/* NULL on no memory. */
struct http_connections *http_connections_new(struct event_base *base,
                                              const struct http_connections_config *config);

/* Call it after the evhttp is freed. */
void http_connections_free(struct http_connections *connections);

/* Whose connections these are: it accepts in parts. Call it before the loop runs. */
void http_connections_listen(struct http_connections *connections, struct evconnlistener *listener);

/* evhttp's callback for a connection that it accepts; `user` is the connections. */
struct bufferevent *http_connections_accept(struct event_base *base, void *user);

/* The connection of a request did something. `answering`: what goes out now is this server's own,
 * not evhttp's. */
void http_connections_touch(struct http_connections *connections, struct evhttp_request *request,
                            bool answering);

/* A request waits for its address's turn. `waiting`, of which `articles` is set, must last until
 * on_turn or on_dropped. False on no memory: answer it at once. */
bool http_connections_wait(struct http_connections *connections, struct evhttp_request *request,
                           struct visitors_request *waiting);

/* A request that had its turn looks nothing up any more. */
void http_connections_looked_up(struct http_connections *connections,
                                const struct visitors_request *request);

/* Drops every request that waits. Call it before the evhttp is freed. */
void http_connections_drop_waiting(struct http_connections *connections);

struct http_connections_stats http_connections_stats(const struct http_connections *connections);

#endif
