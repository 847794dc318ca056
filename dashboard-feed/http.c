#include "http.h"

#include "assets.h"
#include "core/address.h"
#include "core/error.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "error_page.h"
#include "fnv.h"
#include "http_budget.h"
#include "route.h"
#include "totals_answer.h"
#include "visitors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>
#include <zlib.h>

#define SWEEP_MS 250
#define REST_MS 20 /* between two looks at whether an address that rests may go on */
#define ALL_METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)
#define ALLOWED "GET, HEAD, OPTIONS"
#define JSON "application/json"
#define BROKER_TOKEN "@TALLY_BROKER@"
#define ETAG_MAX_BYTES 64
#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)
_Static_assert(HTTP_MAX_HEADER_BYTES == 68492, "what SIZES says");
#define SIZES                                                                                      \
    "too long: accepted are a line and headers that hold 100 articles of 200 bytes, "              \
    "percent-encoded, and 8 KiB beside them, and a body of up to " STRING(                         \
        HTTP_MAX_BODY_BYTES) " bytes"
#define GZIP_WINDOW (15 + 16) /* zlib's word for the largest window, in gzip's format */

struct file {
    const char *name;
    const char *type;
    char *body, *packed; /* packed: as gzip, or NULL */
    size_t bytes, packed_bytes;
    char etag[ETAG_MAX_BYTES], packed_etag[ETAG_MAX_BYTES];
};

struct question; /* a request that waits, or whose articles are looked up */

/* evhttp tells nobody when a connection that has made no request ends; so each bufferevent is kept
 * with a reference, until evhttp is seen to have let go of it. */
struct connection {
    struct http *http;
    struct bufferevent *socket;
    struct evbuffer_cb_entry *watch; /* of its output */
    struct evbuffer_cb_entry *count; /* of its input */
    struct visitor *visitor;         /* NULL: not known yet */
    struct question *waiting;        /* NULL: no request of it waits for its turn */
    size_t lines;                    /* of the request that is being read */
    bool answering;                  /* what goes out is this server's, not evhttp's own */
    uint64_t since_ms;               /* accepted, or last request or answer */
    bool admitted;                   /* charged for */
    bool dropped;
    bool paused;                    /* nothing is read of it until its address can pay */
    bool paid;                      /* its next read is charged already */
    struct connection *prev, *next; /* longest idle first */
};

struct http {
    struct http_config config;
    struct event_base *base;
    struct evhttp *server;
    struct event *sweep;
    struct connection *connections;
    struct file *files;
    char broker[400]; /* what stands for BROKER_TOKEN: a URL or port, and the topic prefix after a #
                       */
    char connect[300]; /* of the CSP, where the broker's URL is known */
    unsigned lookups;
    struct visitors visitors;
    struct event *turn; /* requests wait */
    struct http_budget *budget;
    struct event *admit; /* connections were accepted */
    struct event *rest;  /* an address rests */
    struct evconnlistener *listener;
    unsigned accepted; /* since `admit` */
    struct http_stats stats;
};

/* ---- connections ---- */

static void release(struct http *http, struct connection *one)
{
    if (one->count != NULL)
        evbuffer_remove_cb_entry(bufferevent_get_input(one->socket), one->count);
    if (one->visitor != NULL) {
        one->visitor->paused -= one->paused;
        visitors_leave(&http->visitors, one->visitor);
    }
    if (one->watch != NULL)
        evbuffer_remove_cb_entry(bufferevent_get_output(one->socket), one->watch);
    DL_DELETE(http->connections, one);
    http->stats.connections--;
    bufferevent_decref(one->socket);
    free(one);
}

static void forget(struct http *http, struct connection *one);

/* Makes evhttp see an end of the connection, which it then frees. */
static void end(struct http *http, struct connection *one)
{
    evutil_socket_t fd = bufferevent_getfd(one->socket);
    one->dropped = true;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    if (one->paused && !one->answering)
        bufferevent_enable(one->socket, EV_READ); /* the end is read */
    forget(http, one);
}

static void drop(struct http *http, struct connection *one)
{
    http->stats.connections_dropped++;
    end(http, one);
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

static void sweep(struct http *http)
{
    uint64_t now = clock_monotonic_ms();
    struct connection *one, *following;
    DL_FOREACH_SAFE(http->connections, one, following)
    {
        if (is_abandoned(one))
            release(http, one);
        else if (!one->dropped && now - one->since_ms > HTTP_MAX_WAIT_MS)
            drop(http, one);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    sweep(user);
}

static void count(struct http *http, int code)
{
    for (int i = 0; i < HTTP_CODES; i++)
        if (http->stats.answers[i].code == code)
            http->stats.answers[i].n++;
}

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
        count(one->http, status);
}

static void charge_read(struct http *http, struct connection *one);

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
    charge_read(one->http, one);
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
    *exempt = http_budget_exempts(one->http->budget, &address);
    return address_key(&address);
}

/* evhttp does not report the address of a connection it accepts: it is looked up when needed. */
static struct visitor *visitor_of(struct http *http, struct connection *one)
{
    if (one->visitor == NULL) {
        bool exempt;
        uint64_t key = key_of(one, &exempt);
        one->visitor = visitors_enter(&http->visitors, key, exempt);
    }
    return one->visitor;
}

/* ---- the budget of an address ---- */

/* Charges an address. At the end of its budget it rests. */
static void charge(struct http *http, struct visitor *visitor, uint64_t tokens)
{
    if (visitor->exempt ||
        http_budget_charge(http->budget, visitor->key, tokens, clock_monotonic_ns()))
        return;
    http->stats.rests += !visitor->resting;
    visitor->resting = true;
    if (!event_pending(http->rest, EV_TIMEOUT, NULL))
        events_arm(http->rest, REST_MS);
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
static void charge_read(struct http *http, struct connection *one)
{
    if (visitor_of(http, one) == NULL)
        return;
    if (!one->paid)
        charge(http, one->visitor, HTTP_BUDGET_READ);
    one->paid = false;
    pause_if_resting(one);
}

/* Reads an address's connections again, longest idle first, for as long as it can pay. */
static void resume(struct http *http, struct visitor *visitor)
{
    struct connection *one;
    DL_FOREACH(http->connections, one)
    {
        if (visitor->resting || visitor->paused == 0)
            return;
        if (one->visitor != visitor || !one->paused)
            continue;
        one->paused = false;
        visitor->paused--;
        if (one->answering) /* evhttp reads on after the answer */
            continue;
        charge(http, visitor, HTTP_BUDGET_READ);
        one->paid = true;
        bufferevent_enable(one->socket, EV_READ);
    }
}

/* Addresses that can pay again go on: with the requests that wait before anything is read. */
static void on_rest(evutil_socket_t fd, short what, void *user)
{
    struct http *http = user;
    struct visitor *one;
    bool any = false;
    (void)fd;
    (void)what;
    DL_FOREACH(http->visitors.first, one)
    {
        if ((one->resting || one->paused > 0) &&
            http_budget_left(http->budget, one->key, clock_monotonic_ns())) {
            one->resting = false;
            if (one->plain != NULL || one->asking != NULL)
                events_arm(http->turn, 0);
            else
                resume(http, one);
        }
        any = any || one->resting || one->paused > 0;
    }
    if (any)
        events_arm(http->rest, REST_MS);
}

/* Connections were accepted, and evhttp has set their sockets. */
static void on_admit(evutil_socket_t fd, short what, void *user)
{
    struct http *http = user;
    struct connection *one;
    (void)fd;
    (void)what;
    DL_FOREACH(http->connections, one)
    {
        if (one->admitted || one->dropped || visitor_of(http, one) == NULL)
            continue;
        one->admitted = true;
        charge(http, one->visitor, HTTP_BUDGET_CONNECTION);
        if (!one->answering) /* else its request came with it */
            pause_if_resting(one);
    }
    http->accepted = 0;
    evconnlistener_enable(http->listener);
}

/* Makes room for a connection: closes the longest idle one of the visitor with the most. */
static void make_room(struct http *http)
{
    struct connection *one;
    size_t dropped = 0;
    DL_FOREACH(http->connections, one)
    {
        dropped += one->dropped;
        if (!one->dropped)
            visitor_of(http, one);
    }
    while (http->stats.connections - dropped >= HTTP_MAX_CONNECTIONS) {
        const struct visitor *heaviest = visitors_heaviest(&http->visitors);
        DL_FOREACH(http->connections, one)
        {
            if (!one->dropped && (one->visitor == heaviest || heaviest == NULL))
                break;
        }
        if (one == NULL)
            return; /* all of theirs are on their way out */
        drop(http, one);
        dropped++;
    }
}

/* evhttp accepts a connection. */
static struct bufferevent *on_accept(struct event_base *base, void *user)
{
    struct http *http = user;
    if (http->stats.connections >= HTTP_MAX_CONNECTIONS) {
        sweep(http);
        make_room(http);
    }
    struct connection *made = calloc(1, sizeof *made);
    struct bufferevent *socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (made == NULL || socket == NULL) {
        free(made);
        return socket;
    }
    bufferevent_incref(socket);
    made->http = http;
    made->socket = socket;
    bufferevent_set_max_single_read(socket, HTTP_READ_BYTES);
    made->count = evbuffer_add_cb(bufferevent_get_input(socket), on_input, made);
    made->watch = evbuffer_add_cb(bufferevent_get_output(socket), on_output, made);
    made->since_ms = clock_monotonic_ms();
    DL_APPEND(http->connections, made);
    http->stats.connections++;
    events_arm(http->admit, 0);
    if (++http->accepted >= HTTP_MAX_ACCEPTS)
        evconnlistener_disable(http->listener);
    return socket;
}

static struct connection *connection_of(struct http *http, struct evhttp_request *request)
{
    struct evhttp_connection *owner = evhttp_request_get_connection(request);
    if (owner == NULL)
        return NULL;
    struct bufferevent *socket = evhttp_connection_get_bufferevent(owner);
    struct connection *one;
    DL_FOREACH(http->connections, one)
    {
        if (one->socket == socket)
            return one;
    }
    return NULL;
}

/* The connection of a request did something; says whose output follows. */
static void touch(struct http *http, struct evhttp_request *request, bool answering)
{
    struct connection *one = connection_of(http, request);
    if (one == NULL)
        return;
    one->answering = answering;
    one->lines = 0;
    one->since_ms = clock_monotonic_ms();
    DL_DELETE(http->connections, one);
    DL_APPEND(http->connections, one);
}

static void on_complete(struct evhttp_request *request, void *user)
{
    touch(user, request, false);
}

/* ---- answers ---- */

static void header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void allow_any_origin(struct evhttp_request *request)
{
    if (evhttp_find_header(evhttp_request_get_output_headers(request),
                           "Access-Control-Allow-Origin") != NULL)
        return;
    header(request, "Access-Control-Allow-Origin", "*");
    header(request, "Access-Control-Expose-Headers", "ETag");
    header(request, "Cross-Origin-Resource-Policy", "cross-origin");
}

/* Sends an answer. `type` NULL: without a body. A HEAD request gets the headers alone. */
static void answer(struct http *http, struct evhttp_request *request, int code, const char *reason,
                   const char *type, const void *body, size_t bytes)
{
    char length[24];
    struct evbuffer *out = NULL;
    header(request, "X-Content-Type-Options", "nosniff");
    if (type != NULL) {
        header(request, "Content-Type", type);
        snprintf(length, sizeof length, "%zu", bytes);
        header(request, "Content-Length", length);
        if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) {
            out = evbuffer_new();
            if (out != NULL)
                evbuffer_add(out, body, bytes);
            http->stats.body_bytes += bytes;
        }
    }
    count(http, code);
    evhttp_request_set_on_complete_cb(request, on_complete, http);
    evhttp_send_reply(request, code, reason, out);
    if (out != NULL)
        evbuffer_free(out);
}

static void answer_error(struct http *http, struct evhttp_request *request, int code,
                         const char *reason, const char *error)
{
    char text[512] = "{}";
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "error", error);
    cJSON_PrintPreallocated(object, text, sizeof text, false);
    cJSON_Delete(object);
    header(request, "Cache-Control", "no-store");
    allow_any_origin(request); /* a page's script cannot read why, else */
    answer(http, request, code, reason, JSON, text, strlen(text));
}

/* Whether If-None-Match names the tag (RFC 9110, 13.1.2: weak comparison). */
static bool is_known_to_client(struct evhttp_request *request, const char *etag)
{
    const char *at = evhttp_find_header(evhttp_request_get_input_headers(request), "If-None-Match");
    size_t bytes = strlen(etag);
    while (at != NULL && *at != '\0') {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (*at != '"')
            return false;
        if (strncmp(at, etag, bytes) == 0)
            return true;
        at = strchr(at + 1, '"');
        at = at == NULL ? NULL : at + 1;
    }
    return false;
}

/* Answers with a body that has a tag, or says that the client has it already. */
static void answer_tagged(struct http *http, struct evhttp_request *request, const char *etag,
                          const char *cache, const char *type, const void *body, size_t bytes)
{
    header(request, "ETag", etag);
    header(request, "Cache-Control", cache);
    if (is_known_to_client(request, etag))
        answer(http, request, 304, "Not Modified", NULL, NULL, 0);
    else
        answer(http, request, 200, "OK", type, body, bytes);
}

/* ---- totals ---- */

struct question {
    struct http *http;
    struct visitors_request turn;
    struct evhttp_request *request;
    bool list;
    size_t n; /* 0: it asks for no totals */
    struct route_article article[];
};

static void answer_away(struct http *http, struct evhttp_request *request, const char *error)
{
    header(request, "Retry-After", "1");
    answer_error(http, request, 503, "Service Unavailable", error);
}

/* What it looked up, or was to, makes room for others of its address. */
static void looked_up(const struct question *question)
{
    if (question->turn.visitor == NULL)
        return;
    visitors_looked_up(question->turn.visitor, question->turn.articles);
    if (question->turn.visitor->asking != NULL)
        events_arm(question->http->turn, 0);
}

static void answer_totals(const struct question *question, const struct follow_total *totals)
{
    struct http *http = question->http;
    char etag[TOTALS_ANSWER_ETAG_BYTES];
    struct totals_answer said = {.asked = question->article,
                                 .asked_n = question->n,
                                 .list = question->list,
                                 .found = totals,
                                 .kinds = follow_kinds(http->config.follow),
                                 .store = follow_store(http->config.follow),
                                 .unix_ms = clock_unix_ms()};
    char *text = totals_answer_json(&said);
    if (text == NULL) {
        answer_away(http, question->request, "no memory");
        return;
    }
    totals_answer_etag(&said, etag);
    answer_tagged(http, question->request, etag, "public, max-age=1", JSON, text, strlen(text));
    cJSON_free(text);
}

static void on_totals(void *user, const struct follow_total *totals, size_t n)
{
    struct question *question = user;
    struct http *http = question->http;
    http->lookups--;
    looked_up(question);
    for (size_t i = 0; totals != NULL && i < n; i++)
        if (!total_json_kinds_known(&totals[i].total, follow_kinds(http->config.follow)))
            follow_reread(http->config.follow); /* known in a second, as long as this is cached */
    if (totals == NULL)
        answer_away(http, question->request, "redis does not answer");
    else if (!question->list && totals[0].outcome == FOLLOW_BAD)
        answer_error(http, question->request, 500, "Internal Server Error",
                     "what is stored about the article is damaged");
    else
        answer_totals(question, totals);
    free(question);
}

/* Returns 0, and answers later, or -1: it could not be asked. */
static int look_up(struct question *question)
{
    struct http *http = question->http;
    struct follow_article articles[ROUTE_MAX_ARTICLES];
    size_t n = 0;
    for (size_t i = 0; i < question->n; i++)
        if (!question->article[i].bad)
            articles[n++] = (struct follow_article){.id = question->article[i].id,
                                                    .bytes = question->article[i].bytes};
    http->lookups++;
    if (follow_lookup(http->config.follow, articles, n, on_totals, question) == 0)
        return 0;
    http->lookups--;
    return -1;
}

/* Takes the question over. */
static void ask_totals(struct question *question)
{
    struct http *http = question->http;
    bool ready = follow_ready(http->config.follow);
    if (ready && question->turn.articles == 0) {
        answer_totals(question, NULL);
    } else if (ready && http->lookups >= HTTP_MAX_LOOKUPS) {
        http->stats.lookups_refused++;
        answer_away(http, question->request, "too many requests wait for redis");
    } else if (ready && look_up(question) == 0) {
        return;
    } else {
        answer_away(http, question->request, "redis is away");
    }
    looked_up(question);
    free(question);
}

/* ---- files ---- */

static const char *content_type(const char *name)
{
    static const struct {
        const char *extension, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".json", "application/json"},
                 {".webmanifest", "application/manifest+json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".ico", "image/x-icon"},
                 {".woff2", "font/woff2"}};
    const char *extension = strrchr(name, '.');
    for (size_t i = 0; extension != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(extension, types[i].extension) == 0)
            return types[i].type;
    return "text/plain; charset=utf-8";
}

static bool is_host(const char *host)
{
    size_t bytes = strlen(host);
    return bytes > 0 && bytes <= 253 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
               bytes;
}

/* The page may connect to this server and to its broker. A CSP cannot name an IPv6 address, so
 * there any broker is allowed. */
static void add_page_headers(struct http *http, struct evhttp_request *request, bool framed)
{
    char policy[1024], broker[600];
    const char *host = evhttp_request_get_host(request);
    const char *connect = broker;
    if (http->connect[0] != '\0')
        connect = http->connect;
    else if (host != NULL && is_host(host))
        snprintf(broker, sizeof broker, "ws://%s:%u wss://%s:%u", host, http->config.websocket_port,
                 host, http->config.websocket_port);
    else
        connect = "ws: wss:";
    snprintf(policy, sizeof policy,
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
             "connect-src 'self' %s; base-uri 'none'; form-action 'none'; "
             "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors %s",
             connect, framed ? "*" : "'none'");
    header(request, "Content-Security-Policy", policy);
    header(request, "Referrer-Policy", "no-referrer");
    if (!framed) {
        header(request, "X-Frame-Options", "DENY");
        return;
    }
    /* So that a page that requires cross-origin opt-in (COEP) may frame this one. */
    header(request, "Cross-Origin-Embedder-Policy", "require-corp");
    header(request, "Cross-Origin-Resource-Policy", "cross-origin");
}

static const struct file *find_file(const struct http *http, const char *name)
{
    for (size_t i = 0; i < assets_n; i++)
        if (strcmp(http->files[i].name, name) == 0)
            return &http->files[i];
    return NULL;
}

static bool is_for_any_origin(const struct route *route)
{
    return route->kind == ROUTE_TOTAL || route->kind == ROUTE_TOTALS || route->kind == ROUTE_BAD ||
           (route->kind == ROUTE_FILE && strncmp(route->file, "tally", 5) == 0);
}

/* Whether the client says that it takes gzip (RFC 9110, 12.5.3), of weight 0 not. */
static bool takes_gzip(struct evhttp_request *request)
{
    const char *at =
        evhttp_find_header(evhttp_request_get_input_headers(request), "Accept-Encoding");
    at = at != NULL ? strcasestr(at, "gzip") : NULL;
    if (at == NULL)
        return false;
    at += strcspn(at, ",;");
    const char *weight = *at == ';' ? strchr(at, '=') : NULL;
    return weight == NULL || strtod(weight + 1, NULL) > 0;
}

static void answer_file(struct http *http, struct evhttp_request *request, const struct file *file,
                        bool framed)
{
    const char *cache = "public, max-age=60, stale-while-revalidate=86400";
    if (strncmp(file->type, "text/html", 9) == 0) {
        add_page_headers(http, request, framed);
        cache = "public, max-age=60";
    }
    header(request, "Vary", "Accept-Encoding");
    if (file->packed != NULL && takes_gzip(request)) {
        header(request, "Content-Encoding", "gzip");
        answer_tagged(http, request, file->packed_etag, cache, file->type, file->packed,
                      file->packed_bytes);
        return;
    }
    answer_tagged(http, request, file->etag, cache, file->type, file->body, file->bytes);
}

/* ---- requests ---- */

static void answer_options(struct http *http, struct evhttp_request *request,
                           const struct route *route)
{
    header(request, "Allow", ALLOWED);
    if (is_for_any_origin(route)) {
        header(request, "Access-Control-Allow-Methods", ALLOWED);
        header(request, "Access-Control-Allow-Headers", "If-None-Match");
        header(request, "Access-Control-Max-Age", "86400");
    }
    answer(http, request, 204, "No Content", NULL, NULL, 0);
}

static void answer_health(struct http *http, struct evhttp_request *request)
{
    bool ok = false;
    const char *json = http->config.health(http->config.user, &ok);
    header(request, "Cache-Control", "no-store");
    answer(http, request, ok ? 200 : 503, ok ? "OK" : "Service Unavailable", JSON, json,
           strlen(json));
}

static void answer_metrics(struct http *http, struct evhttp_request *request)
{
    struct evbuffer *text = evbuffer_new();
    if (text == NULL) {
        answer_away(http, request, "no memory");
        return;
    }
    http->config.metrics(http->config.user, text);
    header(request, "Cache-Control", "no-store");
    size_t bytes = evbuffer_get_length(text);
    answer(http, request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8",
           bytes > 0 ? evbuffer_pullup(text, -1) : (unsigned char *)"", bytes);
    evbuffer_free(text);
}

static void answer_route(struct http *http, struct evhttp_request *request,
                         const struct route *route)
{
    const struct file *file;
    switch (route->kind) {
    case ROUTE_BAD:
        answer_error(http, request, 400, "Bad Request", route->error);
        return;
    case ROUTE_METRICS:
        answer_metrics(http, request);
        return;
    case ROUTE_HEALTH:
        answer_health(http, request);
        return;
    case ROUTE_EMBED:
        answer_file(http, request, find_file(http, "embed.html"), true);
        return;
    case ROUTE_FILE:
        file = find_file(http, route->file);
        if (file != NULL) {
            answer_file(http, request, file, false);
            return;
        }
        break;
    case ROUTE_TOTAL: /* looked up */
    case ROUTE_TOTALS:
    case ROUTE_NOTHING:
        break;
    }
    answer_error(http, request, 404, "Not Found",
                 "known are /, /dashboard, /tally.js, /embed?article=, /totals/<article>, "
                 "/totals?articles=a,b,c, "
                 "/metrics and /healthz");
}

/* Answers what looks nothing up. */
static void answer_plain(struct http *http, struct evhttp_request *request,
                         const struct route *route)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (is_for_any_origin(route))
        allow_any_origin(request);
    if (method == EVHTTP_REQ_OPTIONS) {
        answer_options(http, request, route);
    } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        header(request, "Allow", ALLOWED);
        answer_error(http, request, 405, "Method Not Allowed", "accepted are " ALLOWED);
    } else {
        answer_route(http, request, route);
    }
}

static void read_route(struct evhttp_request *request, struct route *route)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    route_parse(route, uri != NULL ? evhttp_uri_get_path(uri) : NULL,
                uri != NULL ? evhttp_uri_get_query(uri) : NULL);
}

/* Takes the question over. */
static void answer_question(struct question *question)
{
    struct route route;
    if (question->n > 0) {
        allow_any_origin(question->request);
        ask_totals(question);
        return;
    }
    read_route(question->request, &route);
    answer_plain(question->http, question->request, &route);
    free(question);
}

static struct question *make_question(struct http *http, struct evhttp_request *request)
{
    struct route route;
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    read_route(request, &route);
    bool asks = (route.kind == ROUTE_TOTAL || route.kind == ROUTE_TOTALS) &&
                (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD);
    size_t n = asks ? route.n : 0;
    struct question *question = malloc(sizeof *question + n * sizeof question->article[0]);
    if (question == NULL)
        return NULL;
    *question = (struct question){
        .http = http, .request = request, .list = route.kind == ROUTE_TOTALS, .n = n};
    for (size_t i = 0; i < n; i++) {
        question->article[i] = route.article[i];
        question->turn.articles += !route.article[i].bad;
    }
    return question;
}

static void on_request(struct evhttp_request *request, void *user)
{
    struct http *http = user;
    struct connection *one = connection_of(http, request);
    struct question *question = make_question(http, request);
    touch(http, request, true);
    if (question == NULL) {
        answer_away(http, request, "no memory");
        return;
    }
    if (one != NULL)
        question->turn.visitor = visitor_of(http, one);
    if (question->turn.visitor == NULL) { /* no memory: at once, then */
        answer_question(question);
        return;
    }
    one->waiting = question;
    http->stats.waiting++;
    visitors_wait(&question->turn);
    events_arm(http->turn, 0);
}

static void on_turn(evutil_socket_t fd, short what, void *user)
{
    struct http *http = user;
    struct visitors_request *next;
    uint64_t began_ns = clock_monotonic_ns();
    (void)fd;
    (void)what;
    while ((next = visitors_next(&http->visitors)) != NULL) {
        struct question *question =
            (struct question *)(void *)((char *)next - offsetof(struct question, turn));
        connection_of(http, question->request)->waiting = NULL;
        http->stats.waiting--;
        charge(http, next->visitor, http_budget_request(next->articles));
        answer_question(question);
        if (clock_monotonic_ns() - began_ns >= HTTP_TURN_US * UINT64_C(1000)) {
            events_arm(http->turn, 0);
            return;
        }
    }
}

/* A dropped connection does not wait for a turn. */
static void forget(struct http *http, struct connection *one)
{
    struct question *question = one->waiting;
    if (question == NULL)
        return;
    one->waiting = NULL;
    http->stats.waiting--;
    visitors_forget(&question->turn);
    answer_away(http, question->request, "too many connections of this address, or too slow");
    free(question);
}

/* ---- making ---- */

/* Compresses the body as far as possible; if that fails or gains nothing, it is sent uncompressed.
 */
static void pack_file(struct file *file)
{
    z_stream stream = {.next_in = (Bytef *)file->body, .avail_in = (uInt)file->bytes};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return;
    file->packed = malloc(file->bytes);
    stream.next_out = (Bytef *)file->packed;
    stream.avail_out = file->packed != NULL ? (uInt)file->bytes : 0;
    if (file->packed == NULL || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        free(file->packed);
        file->packed = NULL;
    }
    file->packed_bytes = stream.total_out;
    deflateEnd(&stream);
}

/* Copies the file with every BROKER_TOKEN replaced. Returns 0, or -1 on no memory. */
static int make_file(struct file *file, const struct asset *asset, const char *broker)
{
    const char *in = (const char *)asset->data; /* a NUL follows */
    const char *end = in + *asset->bytes;
    size_t token_bytes = strlen(BROKER_TOKEN), broker_bytes = strlen(broker);
    bool text = strstr(asset->name, ".html") != NULL || strstr(asset->name, ".js") != NULL;
    size_t tokens = 0;
    for (const char *at = in; text && (at = strstr(at, BROKER_TOKEN)) != NULL; at += token_bytes)
        tokens++;
    file->body = malloc(*asset->bytes + tokens * broker_bytes + 1);
    if (file->body == NULL)
        return -1;
    file->bytes = 0;
    while (in < end) {
        const char *token = tokens > 0 ? strstr(in, BROKER_TOKEN) : NULL;
        size_t plain = (size_t)((token != NULL ? token : end) - in);
        memcpy(file->body + file->bytes, in, plain);
        file->bytes += plain;
        in += plain;
        if (token != NULL) {
            memcpy(file->body + file->bytes, broker, broker_bytes);
            file->bytes += broker_bytes;
            in += token_bytes;
        }
    }
    file->name = asset->name;
    file->type = content_type(asset->name);
    uint64_t tag = fnv_add(FNV_START, file->body, file->bytes);
    snprintf(file->etag, sizeof file->etag, "\"%016" PRIx64 "\"", tag);
    snprintf(file->packed_etag, sizeof file->packed_etag, "\"%016" PRIx64 "-gzip\"", tag);
    pack_file(file);
    return 0;
}

static int make_files(struct http *http)
{
    http->files = calloc(assets_n + 1, sizeof *http->files);
    if (http->files == NULL)
        return -1;
    for (size_t i = 0; i < assets_n; i++)
        if (make_file(&http->files[i], &assets[i], http->broker) != 0)
            return -1;
    return 0;
}

static void set_broker(struct http *http, const struct http_config *config)
{
    const char *url = config->websocket_url, *prefix = config->topic_prefix;
    const char *mark = prefix[0] != '\0' ? "#" : "";
    if (url[0] == '\0') {
        snprintf(http->broker, sizeof http->broker, ":%u%s%s", config->websocket_port, mark,
                 prefix);
        return;
    }
    snprintf(http->broker, sizeof http->broker, "%s%s%s", url, mark, prefix);
    const char *host = strstr(url, "//") + 2; /* settings let no other URL through */
    snprintf(http->connect, sizeof http->connect, "%.*s",
             (int)((size_t)(host - url) + strcspn(host, "/?")), url);
}

static void set_codes(struct http *http)
{
    static const int codes[HTTP_CODES] = {200, 204, 304, 400, 404, 405, 413, 417, 500, 501, 503};
    for (int i = 0; i < HTTP_CODES; i++)
        http->stats.answers[i].code = codes[i];
}

static int listen_http(struct http *http, char *error, size_t error_bytes)
{
    const struct http_config *config = &http->config;
    evhttp_set_gencb(http->server, on_request, http);
    evhttp_set_bevcb(http->server, on_accept, http);
    evhttp_set_allowed_methods(http->server, ALL_METHODS); /* others than ours are answered 405 */
    evhttp_set_max_headers_size(http->server, HTTP_MAX_HEADER_BYTES);
    evhttp_set_max_body_size(http->server, HTTP_MAX_BODY_BYTES);
    errno = 0;
    struct evhttp_bound_socket *bound =
        evhttp_bind_socket_with_handle(http->server, config->address, config->port);
    int why = errno;
    if (bound != NULL && listen(evhttp_bound_socket_get_fd(bound), HTTP_BACKLOG) == 0) {
        http->listener = evhttp_bound_socket_get_listener(bound);
        return 0;
    }
    return error_say(error, error_bytes, "option %s: cannot listen on %s port %u: %s",
                     why == EADDRINUSE || why == EACCES ? "http_port" : "http_address",
                     config->address, config->port,
                     why != 0 ? strerror(why) : "no address of this machine");
}

struct http *http_new(struct event_base *base, const struct http_config *config, char *error,
                      size_t error_bytes)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        error_say(error, error_bytes, "no memory");
        return NULL;
    }
    http->config = *config;
    http->base = base;
    set_broker(http, config);
    set_codes(http);
    http->server = evhttp_new(base);
    http->sweep = event_new(base, -1, EV_PERSIST, on_sweep, http);
    http->turn = evtimer_new(base, on_turn, http);
    http->admit = evtimer_new(base, on_admit, http);
    http->rest = evtimer_new(base, on_rest, http);
    http->budget = http_budget_new(config->rate, config->proxies, config->seed);
    if (http->server == NULL || http->sweep == NULL || http->turn == NULL || http->admit == NULL ||
        http->rest == NULL || http->budget == NULL || make_files(http) != 0 ||
        events_arm(http->sweep, SWEEP_MS) != 0) {
        error_say(error, error_bytes, "no memory");
        goto fail;
    }
    if (listen_http(http, error, error_bytes) != 0)
        goto fail;
    /* Not ours to keep. */
    http->config.address = http->config.websocket_url = http->config.topic_prefix = NULL;
    http->config.proxies = NULL;
    return http;
fail:
    http_free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    struct connection *one;
    DL_FOREACH(http->connections, one)
    {
        forget(http, one);
    }
    if (http->server != NULL)
        evhttp_free(http->server);
    while (http->connections != NULL)
        release(http, http->connections);
    events_free(http->sweep);
    events_free(http->turn);
    events_free(http->admit);
    events_free(http->rest);
    http_budget_free(http->budget);
    for (size_t i = 0; http->files != NULL && i < assets_n; i++) {
        free(http->files[i].body);
        free(http->files[i].packed);
    }
    free(http->files);
    free(http);
}

struct http_stats http_stats(const struct http *http)
{
    return http->stats;
}
