/* evhttp's connections under this server's bounds. evhttp itself bounds neither their number nor
 * the lines of a request, and answers in the order in which requests come. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
#include "http_connections.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "error_page.h"
#include "http.h"
#include "http_budget.h"
#include "http_charges.h"

#include <event2/buffer.h>
#include <event2/util.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>

#define SWEEP_MS 250
#define SWEEP_FULL_MS 10    /* where another connection is accepted at the bound */
#define CHECKS_PER_ACCEPT 4 /* of connections on their way out */
#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)
_Static_assert(HTTP_MAX_HEADER_BYTES == 68492, "what SIZES says");
#define SIZES                                                                                      \
    "too long: accepted are a line and headers that hold 100 articles of 200 bytes, "              \
    "percent-encoded, and 8 KiB beside them, and a body of up to " STRING(                         \
        HTTP_MAX_BODY_BYTES) " bytes"

/* evhttp tells nobody when a connection that has made no request ends; so each bufferevent is kept
 * with a reference, until evhttp is seen to have let it go. */
struct connection {
    struct http_charged charged;
    struct http_connections *owner;
    struct bufferevent *socket;
    struct evbuffer_cb_entry *watch;  /* of its output */
    struct evbuffer_cb_entry *count;  /* of its input */
    struct visitors_request *waiting; /* NULL: no request of it waits for its turn */
    size_t lines;                     /* of the request that is being read */
    uint64_t since_ms;                /* accepted, or last request or answer */
    bool admitted;                    /* charged for */
    bool dropped;
    bool unhashed;                  /* uthash had no memory */
    struct connection *prev, *next; /* in `first`, or once dropped in `dropped` */
    struct connection *fresh_prev, *fresh_next;
    UT_hash_handle hh; /* by socket */
};

struct http_connections {
    struct http_connections_config config;
    struct connection *first;     /* open and not dropped, longest idle first */
    struct connection *dropped;   /* on their way out */
    struct connection *fresh;     /* accepted, and not charged for */
    struct connection *by_socket; /* all */
    size_t live;                  /* in `first` */
    uint64_t swept_ms;
    struct visitors visitors;
    struct http_charges *charges;
    struct event *sweep;
    struct event *turn;  /* requests wait */
    struct event *admit; /* connections were accepted */
    struct evconnlistener *listener;
    unsigned accepted; /* since `admit` */
    struct http_connections_stats stats;
};

/* ---- ends of connections ---- */

static struct connection **list_of(struct http_connections *connections,
                                   const struct connection *one)
{
    return one->dropped ? &connections->dropped : &connections->first;
}

static void leave_fresh(struct http_connections *connections, struct connection *one)
{
    if (!one->admitted)
        DL_DELETE2(connections->fresh, one, fresh_prev, fresh_next);
    one->admitted = true;
}

/* Frees a connection that is in neither list. */
static void free_connection(struct http_connections *connections, struct connection *one)
{
    evbuffer_remove_cb_entry(bufferevent_get_input(one->socket), one->count);
    evbuffer_remove_cb_entry(bufferevent_get_output(one->socket), one->watch);
    http_charges_leave(connections->charges, &one->charged);
    leave_fresh(connections, one);
    connections->live -= !one->dropped;
    /* It is in the hash. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    HASH_DEL(connections->by_socket, one);
    connections->stats.open--;
    bufferevent_decref(one->socket);
    free(one);
}

static void release_connection(struct http_connections *connections, struct connection *one)
{
    DL_DELETE(*list_of(connections, one), one);
    free_connection(connections, one);
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
    leave_fresh(connections, one);
    DL_DELETE(connections->first, one);
    DL_APPEND(connections->dropped, one);
    one->dropped = true;
    connections->live--;
    connections->stats.dropped++;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    http_charges_give_up(connections->charges, &one->charged);
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
    connections->swept_ms = now;
    DL_FOREACH_SAFE(connections->first, one, following)
    {
        if (is_abandoned(one))
            release_connection(connections, one);
        else if (now - one->since_ms > HTTP_MAX_WAIT_MS)
            drop_connection(connections, one);
    }
    DL_FOREACH_SAFE(connections->dropped, one, following)
    {
        if (is_abandoned(one))
            release_connection(connections, one);
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
    if (info->n_added == 0 || one->charged.answering)
        return;
    one->charged.answering = true; /* so that the replacement does not come here */
    int status = error_page_replace(output, SIZES);
    one->charged.answering = status != 0;
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
    http_charges_read(one->owner->charges, &one->charged);
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

/* Releases those of the dropped that are closed. Each call looks at a few; the next at others. */
static void release_dropped(struct http_connections *connections)
{
    for (int i = 0; i < CHECKS_PER_ACCEPT && connections->dropped != NULL; i++) {
        struct connection *one = connections->dropped;
        DL_DELETE(connections->dropped, one);
        if (is_abandoned(one))
            free_connection(connections, one);
        else
            DL_APPEND(connections->dropped, one);
    }
}

static struct connection *connection_of_charged(struct http_charged *charged)
{
    return (struct connection *)(void *)((char *)charged - offsetof(struct connection, charged));
}

/* Makes room for a connection: closes the longest idle one of the visitor with the most. */
static void make_room(struct http_connections *connections)
{
    struct connection *one;
    if (clock_monotonic_ms() - connections->swept_ms >= SWEEP_FULL_MS)
        sweep_connections(connections);
    DL_FOREACH2(connections->fresh, one, fresh_next)
    {
        http_charges_visitor(connections->charges, &one->charged);
    }
    while (connections->live >= HTTP_MAX_CONNECTIONS) {
        const struct visitor *heaviest = visitors_heaviest(&connections->visitors);
        if (heaviest != NULL)
            one = connection_of_charged(heaviest->first->user);
        else
            one = connections->first; /* memory is too short to know whose they are */
        if (is_abandoned(one))
            release_connection(connections, one);
        else
            drop_connection(connections, one);
    }
}

/* Connections were accepted, and evhttp has set their sockets. */
static void on_admit(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct connection *one, *following;
    (void)fd;
    (void)what;
    DL_FOREACH_SAFE2(connections->fresh, one, following, fresh_next)
    {
        if (http_charges_visitor(connections->charges, &one->charged) == NULL)
            continue;
        leave_fresh(connections, one);
        http_charges_accepted(connections->charges, &one->charged);
    }
    connections->accepted = 0;
    evconnlistener_enable(connections->listener);
}

/* NULL on no memory. */
static struct connection *add_connection(struct http_connections *connections,
                                         struct bufferevent *socket)
{
    struct connection *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->socket = made->charged.socket = socket;
    HASH_ADD_PTR(connections->by_socket, socket, made);
    if (made->unhashed) {
        free(made);
        return NULL;
    }
    bufferevent_incref(socket);
    made->owner = connections;
    made->since_ms = clock_monotonic_ms();
    DL_APPEND(connections->first, made);
    DL_APPEND2(connections->fresh, made, fresh_prev, fresh_next);
    connections->live++;
    connections->stats.open++;
    return made;
}

struct bufferevent *http_connections_accept(struct event_base *base, void *user)
{
    struct http_connections *connections = user;
    release_dropped(connections);
    if (connections->live >= HTTP_MAX_CONNECTIONS)
        make_room(connections);
    struct bufferevent *socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct connection *made = socket != NULL ? add_connection(connections, socket) : NULL;
    if (made == NULL)
        return socket;
    bufferevent_set_max_single_read(socket, HTTP_READ_BYTES);
    made->count = evbuffer_add_cb(bufferevent_get_input(socket), on_input, made);
    made->watch = evbuffer_add_cb(bufferevent_get_output(socket), on_output, made);
    event_active(connections->admit, EV_TIMEOUT, 0); /* before evhttp sees an end of it */
    if (++connections->accepted >= HTTP_MAX_ACCEPTS)
        evconnlistener_disable(connections->listener);
    return socket;
}

static struct connection *connection_of(struct http_connections *connections,
                                        struct evhttp_request *request)
{
    struct evhttp_connection *owner = evhttp_request_get_connection(request);
    struct connection *one = NULL;
    if (owner == NULL)
        return NULL;
    struct bufferevent *socket = evhttp_connection_get_bufferevent(owner);
    HASH_FIND_PTR(connections->by_socket, &socket, one);
    return one;
}

void http_connections_touch(struct http_connections *connections, struct evhttp_request *request,
                            bool answering)
{
    struct connection *one = connection_of(connections, request);
    if (one == NULL)
        return;
    one->charged.answering = answering;
    one->lines = 0;
    one->since_ms = clock_monotonic_ms();
    DL_DELETE(*list_of(connections, one), one);
    DL_APPEND(*list_of(connections, one), one);
    if (one->charged.entry.visitor != NULL)
        visitors_touch(&one->charged.entry);
}

void http_connections_listen(struct http_connections *connections, struct evconnlistener *listener)
{
    connections->listener = listener;
    http_charges_listen(connections->charges, evconnlistener_get_fd(listener));
}

/* ---- turns ---- */

bool http_connections_wait(struct http_connections *connections, struct evhttp_request *request,
                           struct visitors_request *waiting)
{
    struct connection *one = connection_of(connections, request);
    if (one == NULL || http_charges_visitor(connections->charges, &one->charged) == NULL)
        return false;
    waiting->visitor = one->charged.entry.visitor;
    waiting->user = one;
    one->waiting = waiting;
    connections->stats.waiting++;
    visitors_wait(waiting);
    events_arm(connections->turn, 0);
    return true;
}

static void on_turn(evutil_socket_t fd, short what, void *user)
{
    struct http_connections *connections = user;
    struct visitors_request *next;
    uint64_t began_ns = clock_monotonic_ns();
    (void)fd;
    (void)what;
    while ((next = visitors_next(&connections->visitors)) != NULL) {
        ((struct connection *)next->user)->waiting = NULL;
        connections->stats.waiting--;
        http_charges_pay(connections->charges, next->visitor, http_budget_request(next->articles));
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
    struct connection *one, *following;
    HASH_ITER(hh, connections->by_socket, one, following)
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
    connections->admit = event_new(base, -1, 0, on_admit, connections);
    const struct http_charges_config charges = {.rate = config->rate,
                                                .proxies = config->proxies,
                                                .seed = config->seed,
                                                .visitors = &connections->visitors,
                                                .turn = connections->turn};
    connections->charges = http_charges_new(base, &charges);
    if (connections->sweep == NULL || connections->turn == NULL || connections->admit == NULL ||
        connections->charges == NULL || events_arm(connections->sweep, SWEEP_MS) != 0) {
        http_connections_free(connections);
        return NULL;
    }
    return connections;
}

void http_connections_free(struct http_connections *connections)
{
    if (connections == NULL)
        return;
    DL_CONCAT(connections->first, connections->dropped);
    while (connections->first != NULL) {
        struct connection *one = connections->first;
        DL_DELETE(connections->first, one);
        free_connection(connections, one);
    }
    events_free(connections->sweep);
    events_free(connections->turn);
    events_free(connections->admit);
    http_charges_free(connections->charges);
    free(connections);
}

struct http_connections_stats http_connections_stats(const struct http_connections *connections)
{
    struct http_connections_stats stats = connections->stats;
    stats.rests = http_charges_rests(connections->charges);
    stats.refused = http_charges_refused(connections->charges);
    return stats;
}
