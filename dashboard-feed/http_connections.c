/* evhttp's connections under this server's bounds. evhttp itself bounds neither their number nor
 * the lines of a request, and answers in the order in which requests come. */
#include "http_connections.h"

#include "core/address.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "error_page.h"
#include "http.h"
#include "http_budget.h"

#include <event2/buffer.h>
#include <event2/util.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#define SWEEP_MS 250
#define REST_MS 20 /* between two looks at whether an address that rests may go on */
#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)
_Static_assert(HTTP_MAX_HEADER_BYTES == 68492, "what SIZES says");
#define SIZES                                                                                      \
    "too long: accepted are a line and headers that hold 100 articles of 200 bytes, "              \
    "percent-encoded, and 8 KiB beside them, and a body of up to " STRING(                         \
        HTTP_MAX_BODY_BYTES) " bytes"

/* evhttp tells nobody when a connection that has made no request ends; so each bufferevent is kept
 * with a reference, until evhttp is seen to have let go of it. */
struct connection {
    struct http_connections *owner;
    struct bufferevent *socket;
    struct evbuffer_cb_entry *watch;  /* of its output */
    struct evbuffer_cb_entry *count;  /* of its input */
    struct visitor *visitor;          /* NULL: not known yet */
    struct visitors_request *waiting; /* NULL: no request of it waits for its turn */
    size_t lines;                     /* of the request that is being read */
    bool answering;                   /* what goes out is this server's, not evhttp's own */
    uint64_t since_ms;                /* accepted, or last request or answer */
    bool admitted;                    /* charged for */
    bool dropped;
    bool paused;                    /* nothing is read of it until its address can pay */
    bool paid;                      /* its next read is charged already */
    struct connection *prev, *next; /* longest idle first */
};

struct http_connections {
    struct http_connections_config config;
    struct connection *first;
    struct visitors visitors;
    struct event *sweep;
    struct event *turn; /* requests wait */
    struct http_budget *budget;
    struct event *admit; /* connections were accepted */
    struct event *rest;  /* an address rests */
    struct evconnlistener *listener;
    unsigned accepted; /* since `admit` */
    struct http_connections_stats stats;
};

/* ---- ends of connections ---- */

static void release_connection(struct http_connections *connections, struct connection *one)
{
    if (one->count != NULL)
        evbuffer_remove_cb_entry(bufferevent_get_input(one->socket), one->count);
    if (one->visitor != NULL) {
        one->visitor->paused -= one->paused;
        visitors_leave(&connections->visitors, one->visitor);
    }
    if (one->watch != NULL)
        evbuffer_remove_cb_entry(bufferevent_get_output(one->socket), one->watch);
    DL_DELETE(connections->first, one);
    connections->stats.open--;
    bufferevent_decref(one->socket);
    free(one);
}

/* A dropped connection does not wait for a turn. */
static void forget_waiting(struct http_connections *connections, struct connection *one)
{
    struct visitors_request *waiting = one->waiting;
    if (waiting == NULL)
        return;
    one->waiting = NULL;
    connections->stats.waiting--;
    visitors_forget(waiting);
    connections->config.on_dropped(connections->config.user, waiting);
}

/* Makes evhttp see an end of the connection, which it then frees. */
static void drop_connection(struct http_connections *connections, struct connection *one)
{
    evutil_socket_t fd = bufferevent_getfd(one->socket);
    one->dropped = true;
    connections->stats.dropped++;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    if (one->paused && !one->answering)
        bufferevent_enable(one->socket, EV_READ); /* the end is read */
    forget_waiting(connections, one);
}

/* Whether evhttp has freed its side: bufferevent_free takes the callbacks out. */
static bool is_abandoned(const struct connection *one)
{
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_event;
    void *user;
    bufferevent_getcb(one->socket, &on_read, &on_write, &on_event, &user);
    return on_event == NULL;
}

static void sweep_connections(struct http_connections *connections)
{
    uint64_t now = clock_monotonic_ms();
    struct connection *one, *following;
    DL_FOREACH_SAFE(connections->first, one, following)
    {
        if (is_abandoned(one))
            release_connection(connections, one);
        else if (!one->dropped && now - one->since_ms > HTTP_MAX_WAIT_MS)
            drop_connection(connections, one);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    sweep_connections(user);
}

/* ---- addresses, and their budgets ---- */

/* The key of the address that a connection is from. A peer that is already gone counts as having no
 * address. */
static uint64_t key_of(const struct connection *one, bool *exempt)
{
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof peer;
    struct address address = {{0}};
    evutil_socket_t fd = bufferevent_getfd(one->socket);
    if (fd >= 0 && getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0)
        address_of_peer(&address, (struct sockaddr *)&peer);
    *exempt = http_budget_exempts(one->owner->budget, &address);
    return address_key(&address);
}

/* evhttp does not report the address of a connection it accepts: it is looked up when needed. */
static struct visitor *visitor_of(struct http_connections *connections, struct connection *one)
{
    if (one->visitor == NULL) {
        bool exempt;
        uint64_t key = key_of(one, &exempt);
        one->visitor = visitors_enter(&connections->visitors, key, exempt);
    }
    return one->visitor;
}

/* Charges an address. At the end of its budget it rests. */
static void charge(struct http_connections *connections, struct visitor *visitor, uint64_t tokens)
{
    if (visitor->exempt ||
        http_budget_charge(connections->budget, visitor->key, tokens, clock_monotonic_ns()))
        return;
    connections->stats.rests += !visitor->resting;
    visitor->resting = true;
    if (!event_pending(connections->rest, EV_TIMEOUT, NULL))
        events_arm(connections->rest, REST_MS);
}

/* Stops reading a connection, if its address rests. */
static void pause_if_resting(struct connection *one)
{
    if (!one->visitor->resting)
        return;
    bufferevent_disable(one->socket, EV_READ);
    one->visitor->paused += !one->paused;
    one->paused = true;
}

/* Something was read of a connection. The read that ends the budget is used, but no more is read.
 * evhttp enables reading when it has answered, so one more read may follow each answer. */
static void charge_read(struct http_connections *connections, struct connection *one)
{
    if (visitor_of(connections, one) == NULL)
        return;
    if (!one->paid)
        charge(connections, one->visitor, HTTP_BUDGET_READ);
    one->paid = false;
    pause_if_resting(one);
}

/* Reads an address's connections again, longest idle first, for as long as it can pay. */
static void resume(struct http_connections *connections, struct visitor *visitor)
{
    struct connection *one;
    DL_FOREACH(connections->first, one)
    {
        if (visitor->resting || visitor->paused == 0)
            return;
        if (one->visitor != visitor || !one->paused)
            continue;
        one->paused = false;
        visitor->paused--;
        if (one->answering) /* evhttp reads on after the answer */
            continue;
        charge(connections, visitor, HTTP_BUDGET_READ);
        one->paid = true;
        bufferevent_enable(one->socket, EV_READ);
    }
}

/* Addresses that can pay again go on: with the requests that wait before anything is read. */
static void on_rest(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct visitor *one;
    bool any = false;
    (void)fd;
    (void)what;
    DL_FOREACH(connections->visitors.first, one)
    {
        if ((one->resting || one->paused > 0) &&
            http_budget_left(connections->budget, one->key, clock_monotonic_ns())) {
            one->resting = false;
            if (one->plain != NULL || one->asking != NULL)
                events_arm(connections->turn, 0);
            else
                resume(connections, one);
        }
        any = any || one->resting || one->paused > 0;
    }
    if (any)
        events_arm(connections->rest, REST_MS);
}

/* ---- what goes out and comes in ---- */

/* Something was added to a connection's output, or taken. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *user)
{
    struct connection *one = user;
    if (info->n_added == 0 || one->answering)
        return;
    one->answering = true; /* so that the replacement does not come here */
    int status = error_page_replace(output, SIZES);
    one->answering = status != 0;
    if (status != 0)
        one->owner->config.on_replaced(one->owner->config.user, status);
}

/* Something was read. Of a request with too many lines evhttp would keep each: it gets one that is
 * none instead, and says so to the client. */
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *user)
{
    struct connection *one = user;
    struct evbuffer_ptr at;
    if (info->n_added == 0)
        return;
    if (one->dropped) { /* what the kernel still held is read up to its end, and not parsed */
        evbuffer_drain(input, evbuffer_get_length(input));
        return;
    }
    charge_read(one->owner, one);
    if (one->lines > HTTP_MAX_LINES ||
        evbuffer_ptr_set(input, &at, evbuffer_get_length(input) - info->n_added,
                         EVBUFFER_PTR_SET) != 0)
        return;
    while (one->lines <= HTTP_MAX_LINES) {
        at = evbuffer_search(input, "\n", 1, &at);
        if (at.pos < 0)
            return;
        one->lines++;
        if (evbuffer_ptr_set(input, &at, 1, EVBUFFER_PTR_ADD) != 0)
            break;
    }
    if (one->lines > HTTP_MAX_LINES) {
        evbuffer_drain(input, evbuffer_get_length(input));
        evbuffer_add(input, "too many\n", 9);
    }
}

/* ---- beginnings of connections ---- */

/* Makes room for a connection: closes the longest idle one of the visitor with the most. */
static void make_room(struct http_connections *connections)
{
    struct connection *one;
    size_t dropped = 0;
    DL_FOREACH(connections->first, one)
    {
        dropped += one->dropped;
        if (!one->dropped)
            visitor_of(connections, one);
    }
    while (connections->stats.open - dropped >= HTTP_MAX_CONNECTIONS) {
        const struct visitor *heaviest = visitors_heaviest(&connections->visitors);
        DL_FOREACH(connections->first, one)
        {
            if (!one->dropped && (one->visitor == heaviest || heaviest == NULL))
                break;
        }
        if (one == NULL)
            return; /* all of theirs are on their way out */
        drop_connection(connections, one);
        dropped++;
    }
}

/* Connections were accepted, and evhttp has set their sockets. */
static void on_admit(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct connection *one;
    (void)fd;
    (void)what;
    DL_FOREACH(connections->first, one)
    {
        if (one->admitted || one->dropped || visitor_of(connections, one) == NULL)
            continue;
        one->admitted = true;
        charge(connections, one->visitor, HTTP_BUDGET_CONNECTION);
        if (!one->answering) /* else its request came with it */
            pause_if_resting(one);
    }
    connections->accepted = 0;
    evconnlistener_enable(connections->listener);
}

struct bufferevent *http_connections_accept(struct event_base *base, void *user)
{
    struct http_connections *connections = user;
    if (connections->stats.open >= HTTP_MAX_CONNECTIONS) {
        sweep_connections(connections);
        make_room(connections);
    }
    struct connection *made = calloc(1, sizeof *made);
    struct bufferevent *socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (made == NULL || socket == NULL) {
        free(made);
        return socket;
    }
    bufferevent_incref(socket);
    made->owner = connections;
    made->socket = socket;
    bufferevent_set_max_single_read(socket, HTTP_READ_BYTES);
    made->count = evbuffer_add_cb(bufferevent_get_input(socket), on_input, made);
    made->watch = evbuffer_add_cb(bufferevent_get_output(socket), on_output, made);
    made->since_ms = clock_monotonic_ms();
    DL_APPEND(connections->first, made);
    connections->stats.open++;
    events_arm(connections->admit, 0);
    if (++connections->accepted >= HTTP_MAX_ACCEPTS)
        evconnlistener_disable(connections->listener);
    return socket;
}

static struct connection *connection_of(struct http_connections *connections,
                                        struct evhttp_request *request)
{
    struct evhttp_connection *owner = evhttp_request_get_connection(request);
    if (owner == NULL)
        return NULL;
    struct bufferevent *socket = evhttp_connection_get_bufferevent(owner);
    struct connection *one;
    DL_FOREACH(connections->first, one)
    {
        if (one->socket == socket)
            return one;
    }
    return NULL;
}

void http_connections_touch(struct http_connections *connections, struct evhttp_request *request,
                            bool answering)
{
    struct connection *one = connection_of(connections, request);
    if (one == NULL)
        return;
    one->answering = answering;
    one->lines = 0;
    one->since_ms = clock_monotonic_ms();
    DL_DELETE(connections->first, one);
    DL_APPEND(connections->first, one);
}

void http_connections_listen(struct http_connections *connections, struct evconnlistener *listener)
{
    connections->listener = listener;
}

/* ---- turns ---- */

bool http_connections_wait(struct http_connections *connections, struct evhttp_request *request,
                           struct visitors_request *waiting)
{
    struct connection *one = connection_of(connections, request);
    waiting->visitor = one != NULL ? visitor_of(connections, one) : NULL;
    if (waiting->visitor == NULL)
        return false;
    one->waiting = waiting;
    connections->stats.waiting++;
    visitors_wait(waiting);
    events_arm(connections->turn, 0);
    return true;
}

static void stop_waiting(struct http_connections *connections,
                         const struct visitors_request *waiting)
{
    struct connection *one;
    connections->stats.waiting--;
    DL_FOREACH(connections->first, one)
    {
        if (one->waiting == waiting) {
            one->waiting = NULL;
            return;
        }
    }
}

static void on_turn(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct visitors_request *next;
    uint64_t began_ns = clock_monotonic_ns();
    (void)fd;
    (void)what;
    while ((next = visitors_next(&connections->visitors)) != NULL) {
        stop_waiting(connections, next);
        charge(connections, next->visitor, http_budget_request(next->articles));
        connections->config.on_turn(connections->config.user, next);
        if (clock_monotonic_ns() - began_ns >= HTTP_TURN_US * UINT64_C(1000)) {
            events_arm(connections->turn, 0);
            return;
        }
    }
}

void http_connections_looked_up(struct http_connections *connections,
                                const struct visitors_request *request)
{
    if (request->visitor == NULL)
        return;
    visitors_looked_up(request->visitor, request->articles);
    if (request->visitor->asking != NULL)
        events_arm(connections->turn, 0);
}

void http_connections_drop_waiting(struct http_connections *connections)
{
    struct connection *one;
    DL_FOREACH(connections->first, one)
    {
        forget_waiting(connections, one);
    }
}

struct http_connections *http_connections_new(struct event_base *base,
                                              const struct http_connections_config *config)
{
    struct http_connections *connections = calloc(1, sizeof *connections);
    if (connections == NULL)
        return NULL;
    connections->config = *config;
    connections->sweep = event_new(base, -1, EV_PERSIST, on_sweep, connections);
    connections->turn = evtimer_new(base, on_turn, connections);
    connections->admit = evtimer_new(base, on_admit, connections);
    connections->rest = evtimer_new(base, on_rest, connections);
    connections->budget = http_budget_new(config->rate, config->proxies, config->seed);
    if (connections->sweep == NULL || connections->turn == NULL || connections->admit == NULL ||
        connections->rest == NULL || connections->budget == NULL ||
        events_arm(connections->sweep, SWEEP_MS) != 0) {
        http_connections_free(connections);
        return NULL;
    }
    return connections;
}

void http_connections_free(struct http_connections *connections)
{
    if (connections == NULL)
        return;
    while (connections->first != NULL)
        release_connection(connections, connections->first);
    events_free(connections->sweep);
    events_free(connections->turn);
    events_free(connections->admit);
    events_free(connections->rest);
    http_budget_free(connections->budget);
    free(connections);
}

struct http_connections_stats http_connections_stats(const struct http_connections *connections)
{
    return connections->stats;
}
