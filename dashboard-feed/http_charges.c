/* Which connections are read, by what their addresses have left of their budgets. evhttp reads a
 * connection whenever it has answered, so one more read may follow each answer. */
#include "http_charges.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "http_budget.h"
#include "http_gate.h"

#include <event2/http.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#define REST_MS 20 /* between two checks whether a resting address may continue */

struct http_charges {
    struct visitors *visitors;
    struct http_budget *budget;
    struct http_gate *gate;
    struct event *turn;
    struct event *rest; /* an address rests */
    uint64_t rests;
};

/* ---- addresses ---- */

/* evhttp keeps the address that it accepted a connection from; it is its bufferevent's `user`. The
 * kernel no longer knows the address of a peer that has reset the connection. */
static bool address_of_gone(const struct http_charged *charged, struct address *address)
{
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_event;
    void *evhttp_connection;
    char *text = NULL;
    ev_uint16_t port;
    bufferevent_getcb(charged->socket, &on_read, &on_write, &on_event, &evhttp_connection);
    if (on_event == NULL || evhttp_connection == NULL) /* evhttp has freed its side */
        return false;
    evhttp_connection_get_peer(evhttp_connection, &text, &port);
    return text != NULL && address_parse(address, text);
}

/* The key of the address that a connection is from; that of no address if nobody knows it. */
static uint64_t key_of(const struct http_charges *charges, const struct http_charged *charged,
                       bool *exempt)
{
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof peer;
    struct address address = {{0}};
    evutil_socket_t fd = bufferevent_getfd(charged->socket);
    if (fd >= 0 && getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0)
        address_of_peer(&address, (struct sockaddr *)&peer);
    else if (!address_of_gone(charged, &address))
        address = (struct address){{0}};
    *exempt = http_budget_exempts(charges->budget, &address);
    return address_key(&address);
}

/* evhttp does not report the address of a connection it accepts: it is looked up when needed. */
struct visitor *http_charges_visitor(struct http_charges *charges, struct http_charged *charged)
{
    if (charged->entry.visitor == NULL) {
        bool exempt;
        uint64_t key = key_of(charges, charged, &exempt);
        charged->entry.user = charged;
        visitors_enter(charges->visitors, &charged->entry, key, exempt);
    }
    return charged->entry.visitor;
}

/* ---- pausing and going on ---- */

void http_charges_pay(struct http_charges *charges, struct visitor *visitor, uint64_t tokens)
{
    if (visitor->exempt ||
        http_budget_charge(charges->budget, visitor->key, tokens, clock_monotonic_ns()))
        return;
    charges->rests += !visitor->resting;
    visitor->resting = true;
    if (!event_pending(charges->rest, EV_TIMEOUT, NULL))
        events_arm(charges->rest, REST_MS);
}

/* Stops reading a connection, if its address rests. */
static void pause_if_resting(struct http_charged *charged)
{
    struct visitor *visitor = charged->entry.visitor;
    if (!visitor->resting)
        return;
    bufferevent_disable(charged->socket, EV_READ);
    visitor->paused += !charged->paused;
    charged->paused = true;
}

static void unpause(struct http_charged *charged)
{
    charged->paused = false;
    charged->entry.visitor->paused--;
}

void http_charges_accepted(struct http_charges *charges, struct http_charged *charged)
{
    const struct visitor *visitor = charged->entry.visitor;
    http_charges_pay(charges, charged->entry.visitor, HTTP_BUDGET_CONNECTION);
    if (visitor->resting)
        http_gate_accepted(charges->gate, visitor->key);
    if (!charged->answering) /* else its request came with it */
        pause_if_resting(charged);
}

/* The read that ends the budget is used, but no more is read. */
void http_charges_read(struct http_charges *charges, struct http_charged *charged)
{
    if (http_charges_visitor(charges, charged) == NULL)
        return;
    if (!charged->paid)
        http_charges_pay(charges, charged->entry.visitor, HTTP_BUDGET_READ);
    charged->paid = false;
    pause_if_resting(charged);
}

void http_charges_give_up(struct http_charges *charges, struct http_charged *charged)
{
    if (charged->entry.visitor == NULL)
        return;
    if (charged->paused) {
        unpause(charged);
        if (!charged->answering)
            bufferevent_enable(charged->socket, EV_READ);
    }
    visitors_give_up(charges->visitors, &charged->entry);
}

void http_charges_leave(struct http_charges *charges, struct http_charged *charged)
{
    if (charged->entry.visitor == NULL)
        return;
    if (charged->paused)
        unpause(charged);
    visitors_leave(charges->visitors, &charged->entry);
}

/* Reads an address's connections again, longest idle first, for as long as it can pay. */
static void resume(struct http_charges *charges, struct visitor *visitor)
{
    struct visitors_connection *one;
    DL_FOREACH(visitor->first, one)
    {
        struct http_charged *charged = one->user;
        if (visitor->resting || visitor->paused == 0)
            return;
        if (!charged->paused)
            continue;
        unpause(charged);
        if (charged->answering) /* evhttp reads on after the answer */
            continue;
        http_charges_pay(charges, visitor, HTTP_BUDGET_READ);
        charged->paid = true;
        bufferevent_enable(charged->socket, EV_READ);
    }
}

static bool can_pay(void *user, uint64_t key)
{
    const struct http_charges *charges = user;
    return http_budget_left(charges->budget, key, clock_monotonic_ns());
}

/* Addresses that can pay again continue: with the requests that wait before anything is read. */
static void on_rest(evutil_socket_t fd, short what, void *user)
{
    struct http_charges *charges = user;
    struct visitor *one;
    bool any = http_gate_lift(charges->gate, can_pay, charges);
    (void)fd;
    (void)what;
    DL_FOREACH(charges->visitors->first, one)
    {
        if ((one->resting || one->paused > 0) && can_pay(charges, one->key)) {
            one->resting = false;
            if (one->plain != NULL || one->asking != NULL)
                events_arm(charges->turn, 0);
            else
                resume(charges, one);
        }
        any = any || one->resting || one->paused > 0;
    }
    if (any)
        events_arm(charges->rest, REST_MS);
}

/* ---- beginning and end ---- */

struct http_charges *http_charges_new(struct event_base *base,
                                      const struct http_charges_config *config)
{
    struct http_charges *charges = calloc(1, sizeof *charges);
    if (charges == NULL)
        return NULL;
    charges->visitors = config->visitors;
    charges->turn = config->turn;
    charges->rest = evtimer_new(base, on_rest, charges);
    charges->budget = http_budget_new(config->rate, config->proxies, config->seed);
    charges->gate = http_gate_new();
    if (charges->rest == NULL || charges->budget == NULL || charges->gate == NULL) {
        http_charges_free(charges);
        return NULL;
    }
    return charges;
}

void http_charges_free(struct http_charges *charges)
{
    if (charges == NULL)
        return;
    events_free(charges->rest);
    http_budget_free(charges->budget);
    http_gate_free(charges->gate);
    free(charges);
}

uint64_t http_charges_rests(const struct http_charges *charges)
{
    return charges->rests;
}

void http_charges_listen(struct http_charges *charges, int fd)
{
    http_gate_listen(charges->gate, fd);
}

size_t http_charges_refused(const struct http_charges *charges)
{
    return http_gate_refused(charges->gate);
}
