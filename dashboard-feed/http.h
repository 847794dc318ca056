/* The feed's HTTP: pages, the widget, totals, metrics, health. On libevent's evhttp; loop thread
 * only.
 *
 * Readers' clients must not be able to hinder the feed. Connections, lookups, headers and bodies
 * are bounded. The server closes a connection that takes too long over a request or its answer. At
 * the bound of connections it closes the longest idle one of the address that has the most.
 * Addresses take turns (visitors.h), and each has a budget (http_budget.h). One that has used it up
 * rests: nothing is read of its connections, and its requests wait. The kernel refuses the further
 * connections of one that keeps opening them (http_gate.h). */
#ifndef TALLY_FEED_HTTP_H
#define TALLY_FEED_HTTP_H

#include "core/address.h"
#include "core/error.h"
#include "route.h"
#include "store_link.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_CONNECTIONS 256
#define HTTP_MAX_LOOKUPS 256 /* totals requests that wait for Redis; more are answered 503 */
/* Of a request: its line and headers. That is the longest list of articles, each of the greatest
 * length and with every byte percent-encoded, and 8 KiB for the rest. */
#define HTTP_MAX_HEADER_BYTES (ROUTE_MAX_ARTICLES * (3 * ARTICLE_MAX_BYTES + 3) + 8192)
#define HTTP_MAX_LINES 512   /* of a request */
#define HTTP_READ_BYTES 4096 /* at once of a connection, so that none keeps the others waiting */
#define HTTP_TURN_US 1000    /* of answering, before what has come meanwhile is read */
#define HTTP_MAX_BODY_BYTES 1024 /* no request needs one */
#define HTTP_MAX_WAIT_MS 20000   /* for a request, or until its answer is taken */
#define HTTP_MAX_ACCEPTS 32      /* connections at once, before others are served */
#define HTTP_BACKLOG 1024        /* connections that the kernel keeps until they are accepted */

struct http;

struct http_config {
    const char *address;
    uint16_t port;
    const char *websocket_url; /* "" : the page's host, at websocket_port */
    uint16_t websocket_port;
    const char *topic_prefix;
    uint64_t rate;                      /* of an address: requests a second */
    const struct address_nets *proxies; /* that no budget bounds */
    uint64_t seed;                      /* random, of the budgets' table */
    struct store_link *link;
    const char *(*health)(void *user, bool *ok);       /* JSON */
    const char *(*ready)(void *user, bool *ok);        /* JSON */
    void (*metrics)(void *user, struct evbuffer *out); /* Prometheus text */
    void *user;
};

enum { HTTP_CODES = 11 };

struct http_code_count {
    int code;
    uint64_t n; /* answers */
};

struct http_stats {
    struct http_code_count answers[HTTP_CODES];
    size_t connections;
    size_t waiting;               /* requests, for their turn */
    uint64_t connections_dropped; /* over the bound, or too slow */
    uint64_t rests;               /* times that an address used up its budget */
    size_t addresses_refused;     /* that open too many connections, now */
    uint64_t lookups_refused;
    uint64_t body_bytes;
};

/* Listens. NULL with one sentence in `error`, which names the option, if it cannot. */
struct http *http_new(struct event_base *base, const struct http_config *config,
                      struct error *error);

/* Call it after the store link is freed: that answers the lookups under way. */
void http_free(struct http *http);

struct http_stats http_stats(const struct http *http);

#endif
