/* Charges addresses for the cost of their connections (http_budget.h): counts what is read, and
 * stops reading the connections of an address that has used up its budget until it can pay again.
 * A part of http_connections. Loop thread only. */
#ifndef TALLY_FEED_HTTP_CHARGES_H
#define TALLY_FEED_HTTP_CHARGES_H

#include "core/address.h"
#include "visitors.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

/* Within what the caller keeps of a connection. */
struct http_charged {
    struct visitors_connection entry; /* its `user` is this struct; http_charges_visitor sets it */
    struct bufferevent *socket;
    bool answering; /* what goes out is this server's, not evhttp's own */
    bool paused;    /* nothing is read of it until its address can pay */
    bool paid;      /* its next read is charged already */
};

struct http_charges;

struct http_charges_config {
    uint64_t rate;                      /* as in struct http_config */
    const struct address_nets *proxies; /* read by http_charges_new only */
    uint64_t seed;                      /* as in struct http_config */
    struct visitors *visitors;          /* outlives the charges */
    struct event *turn; /* armed when requests of an address may continue; outlives the charges */
};

/* NULL on no memory. */
struct http_charges *http_charges_new(struct event_base *base,
                                      const struct http_charges_config *config);
void http_charges_free(struct http_charges *charges); /* NULL is fine */

/* The socket that the connections come from (http_gate.h). */
void http_charges_listen(struct http_charges *charges, int fd);

/* The visitor that a connection is from, which enters with the first call. Call it once evhttp has
 * set the socket. NULL on no memory. */
struct visitor *http_charges_visitor(struct http_charges *charges, struct http_charged *charged);

/* Charges an address. At the end of its budget it rests. */
void http_charges_pay(struct http_charges *charges, struct visitor *visitor, uint64_t tokens);

/* A connection, whose visitor is known, was accepted. */
void http_charges_accepted(struct http_charges *charges, struct http_charged *charged);

/* Something was read of a connection. */
void http_charges_read(struct http_charges *charges, struct http_charged *charged);

/* The connection is being closed: it counts no longer, and its end is read. Once at most. */
void http_charges_give_up(struct http_charges *charges, struct http_charged *charged);

/* It is closed. */
void http_charges_leave(struct http_charges *charges, struct http_charged *charged);

/* How many times an address has used up its budget. */
uint64_t http_charges_rests(const struct http_charges *charges);

/* Addresses whose further connections are refused now (http_gate.h). */
size_t http_charges_refused(const struct http_charges *charges);

#endif
