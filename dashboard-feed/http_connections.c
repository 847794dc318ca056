/* evhttp's connections under this server's bounds. evhttp itself bounds neither their number nor
 * the lines of a request, and answers in the order in which requests come. */
#include "http_connections.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "error_page.h"
#include "http.h"

#include <event2/buffer.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#define SWEEP_MS 250
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
    bool dropped;
    struct connection *prev, *next; /* longest idle first */
};

struct http_connections {
    struct http_connections_config config;
    struct connection *first;
    struct visitors visitors;
    struct event *sweep;
    struct event *turn; /* requests wait */
    struct http_connections_stats stats;
};

/* ---- ends of connections ---- */

static void release_connection(struct http_connections *connections, struct connection *one)
{
    if (one->count != NULL)
        evbuffer_remove_cb_entry(bufferevent_get_input(one->socket), one->count);
    if (one->visitor != NULL)
        visitors_leave(&connections->visitors, one->visitor);
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
    if (info->n_added == 0 || one->lines > HTTP_MAX_LINES ||
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

/* The address that a connection is from: IPv4, or /64 of IPv6. False: it has none any more. */
static bool address_of(const struct connection *one, unsigned char address[16])
{
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof peer;
    evutil_socket_t fd = bufferevent_getfd(one->socket);
    memset(address, 0, 16);
    if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &bytes) != 0)
        return false;
    if (peer.ss_family == AF_INET) {
        address[10] = address[11] = 0xff;
        memcpy(address + 12, &((const struct sockaddr_in *)&peer)->sin_addr, 4);
    } else if (peer.ss_family == AF_INET6) {
        const struct in6_addr *from = &((const struct sockaddr_in6 *)&peer)->sin6_addr;
        memcpy(address, from, IN6_IS_ADDR_V4MAPPED(from) ? 16 : 8);
    }
    return true;
}

/* evhttp does not report the address of a connection it accepts: it is looked up when needed. A
 * peer that is already gone counts as having no address. */
static struct visitor *visitor_of(struct http_connections *connections, struct connection *one)
{
    unsigned char address[16];
    if (one->visitor == NULL) {
        address_of(one, address);
        one->visitor = visitors_enter(&connections->visitors, address);
    }
    return one->visitor;
}

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

static uint64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_turn(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct visitors_request *next;
    uint64_t began_us = monotonic_us();
    (void)fd;
    (void)what;
    while ((next = visitors_next(&connections->visitors)) != NULL) {
        stop_waiting(connections, next);
        connections->config.on_turn(connections->config.user, next);
        if (monotonic_us() - began_us >= HTTP_TURN_US) {
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

/* ---- making ---- */

struct http_connections *http_connections_new(struct event_base *base,
                                              const struct http_connections_config *config)
{
    struct http_connections *connections = calloc(1, sizeof *connections);
    if (connections == NULL)
        return NULL;
    connections->config = *config;
    connections->sweep = event_new(base, -1, EV_PERSIST, on_sweep, connections);
    connections->turn = evtimer_new(base, on_turn, connections);
    if (connections->sweep == NULL || connections->turn == NULL ||
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
    free(connections);
}

struct http_connections_stats http_connections_stats(const struct http_connections *connections)
{
    return connections->stats;
}
