#include "http.h"

#include "assets.h"
#include "core/error.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "route.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>
#include <zlib.h>

#define SWEEP_MS 250
#define ALL_METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)
#define ALLOWED "GET, HEAD, OPTIONS"
#define JSON "application/json"
#define BROKER_TOKEN "@TALLY_BROKER@"
#define ETAG_MAX_BYTES 64
#define GZIP_WINDOW (15 + 16) /* zlib's word for the largest window, in gzip's format */

struct file {
    const char *name;
    const char *type;
    char *body, *packed; /* packed: as gzip, or NULL */
    size_t bytes, packed_bytes;
    char etag[ETAG_MAX_BYTES], packed_etag[ETAG_MAX_BYTES];
};

/* evhttp tells nobody when a connection that has made no request ends; so each bufferevent is kept
 * with a reference, until evhttp is seen to have let go of it. */
struct connection {
    struct bufferevent *socket;
    uint64_t since_ms; /* accepted, or last request or answer */
    bool dropped;
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
    struct http_stats stats;
};

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t fnv(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ in[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#define FNV_START UINT64_C(0xcbf29ce484222325)

/* ---- connections ---- */

static void release(struct http *http, struct connection *one)
{
    DL_DELETE(http->connections, one);
    http->stats.connections--;
    bufferevent_decref(one->socket);
    free(one);
}

/* Makes evhttp see an end of the connection, which it then frees. */
static void drop(struct http *http, struct connection *one)
{
    evutil_socket_t fd = bufferevent_getfd(one->socket);
    one->dropped = true;
    http->stats.connections_dropped++;
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
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

/* evhttp accepts a connection. */
static struct bufferevent *on_accept(struct event_base *base, void *user)
{
    struct http *http = user;
    if (http->stats.connections >= HTTP_MAX_CONNECTIONS) {
        sweep(http);
        size_t over = http->stats.connections + 1 > HTTP_MAX_CONNECTIONS
                          ? http->stats.connections + 1 - HTTP_MAX_CONNECTIONS
                          : 0;
        struct connection *one;
        DL_FOREACH(http->connections, one)
        {
            if (over == 0)
                break;
            if (!one->dropped)
                drop(http, one);
            over--;
        }
    }
    struct connection *made = calloc(1, sizeof *made);
    struct bufferevent *socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (made == NULL || socket == NULL) {
        free(made);
        return socket;
    }
    bufferevent_incref(socket);
    made->socket = socket;
    made->since_ms = clock_monotonic_ms();
    DL_APPEND(http->connections, made);
    http->stats.connections++;
    return socket;
}

/* The connection of a request did something. */
static void touch(struct http *http, struct evhttp_request *request)
{
    struct evhttp_connection *owner = evhttp_request_get_connection(request);
    if (owner == NULL)
        return;
    struct bufferevent *socket = evhttp_connection_get_bufferevent(owner);
    struct connection *one;
    DL_FOREACH(http->connections, one)
    {
        if (one->socket != socket)
            continue;
        one->since_ms = clock_monotonic_ms();
        DL_DELETE(http->connections, one);
        DL_APPEND(http->connections, one);
        return;
    }
}

static void on_complete(struct evhttp_request *request, void *user)
{
    touch(user, request);
}

/* ---- answers ---- */

static void count(struct http *http, int code)
{
    for (int i = 0; i < HTTP_CODES; i++)
        if (http->stats.answers[i].code == code)
            http->stats.answers[i].n++;
}

static void header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void allow_any_origin(struct evhttp_request *request)
{
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
    struct evhttp_request *request;
    bool list;
};

static bool is_hidden(const struct follow_total *total, uint64_t unix_ms)
{
    return total->state != NULL && article_state_hides(total->state, unix_ms);
}

static void totals_etag(struct http *http, const struct follow_total *totals, size_t n,
                        uint64_t unix_ms, char etag[ETAG_MAX_BYTES])
{
    const struct kinds *kinds = follow_kinds(http->config.follow);
    uint64_t hash = fnv(FNV_START, kinds, sizeof *kinds);
    for (size_t i = 0; i < n; i++) {
        /* That something moves behind what is hidden is nobody's business; 0 are zeros. */
        uint64_t version = is_hidden(&totals[i], unix_ms) ? UINT64_MAX : totals[i].total.version;
        hash = fnv(hash, totals[i].article, totals[i].article_bytes);
        hash = fnv(hash, &version, sizeof version);
    }
    snprintf(etag, ETAG_MAX_BYTES, "\"%.8s-%016" PRIx64 "\"", follow_store(http->config.follow),
             hash);
}

static char *totals_json(struct http *http, const struct follow_total *totals, size_t n, bool list,
                         uint64_t unix_ms)
{
    const struct kinds *kinds = follow_kinds(http->config.follow);
    char *text = NULL;
    cJSON *object = list ? cJSON_CreateObject() : NULL;
    cJSON *array = list ? cJSON_AddArrayToObject(object, "totals") : NULL;
    for (size_t i = 0; i < n; i++) {
        const struct follow_total *total = &totals[i];
        cJSON *one = is_hidden(total, unix_ms)
                         ? total_json_hidden(total->article, total->article_bytes)
                         : total_json(total->article, total->article_bytes, &total->total, kinds);
        if (one == NULL)
            goto out;
        if (!list)
            object = one;
        else if (!cJSON_AddItemToArray(array, one)) {
            cJSON_Delete(one);
            goto out;
        }
    }
    text = cJSON_PrintUnformatted(object);
out:
    cJSON_Delete(object);
    return text;
}

static void answer_away(struct http *http, struct evhttp_request *request, const char *error)
{
    header(request, "Retry-After", "1");
    answer_error(http, request, 503, "Service Unavailable", error);
}

static void on_totals(void *user, const struct follow_total *totals, size_t n)
{
    struct question *question = user;
    struct http *http = question->http;
    char etag[ETAG_MAX_BYTES];
    char *text = NULL;
    uint64_t unix_ms = clock_unix_ms();
    http->lookups--;
    if (totals == NULL) {
        answer_away(http, question->request, "redis does not answer");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        if (!total_json_kinds_known(&totals[i].total, follow_kinds(http->config.follow)))
            follow_reread(http->config.follow); /* known in a second, as long as this is cached */
        if (totals[i].outcome != FOLLOW_BAD)
            continue;
        answer_error(http, question->request, 500, "Internal Server Error",
                     "what is stored about an article is damaged");
        goto out;
    }
    text = totals_json(http, totals, n, question->list, unix_ms);
    if (text == NULL) {
        answer_away(http, question->request, "no memory");
        goto out;
    }
    totals_etag(http, totals, n, unix_ms, etag);
    answer_tagged(http, question->request, etag, "public, max-age=1", JSON, text, strlen(text));
out:
    cJSON_free(text);
    free(question);
}

static void ask_totals(struct http *http, struct evhttp_request *request, const struct route *route)
{
    struct follow_article articles[ROUTE_MAX_ARTICLES];
    struct question *question = NULL;
    if (!follow_ready(http->config.follow)) {
        answer_away(http, request, "redis is away");
        return;
    }
    if (http->lookups < HTTP_MAX_LOOKUPS)
        question = malloc(sizeof *question);
    if (question == NULL) {
        http->stats.lookups_refused++;
        answer_away(http, request, "too many requests wait for redis");
        return;
    }
    *question =
        (struct question){.http = http, .request = request, .list = route->kind == ROUTE_TOTALS};
    for (size_t i = 0; i < route->n; i++)
        articles[i] =
            (struct follow_article){.id = route->article[i].id, .bytes = route->article[i].bytes};
    http->lookups++;
    if (follow_lookup(http->config.follow, articles, route->n, on_totals, question) != 0) {
        http->lookups--;
        free(question);
        answer_away(http, request, "redis is away");
    }
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
    /* So that a page that lets in only what agrees to it (COEP) may frame this one. */
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
    case ROUTE_TOTAL:
    case ROUTE_TOTALS:
        ask_totals(http, request, route);
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
    case ROUTE_NOTHING:
        break;
    }
    answer_error(http, request, 404, "Not Found",
                 "known are /, /dashboard, /tally.js, /embed?article=, /totals/<article>, "
                 "/totals?articles=a,b,c, "
                 "/metrics and /healthz");
}

static void on_request(struct evhttp_request *request, void *user)
{
    struct http *http = user;
    struct route route;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    touch(http, request);
    route_parse(&route, uri != NULL ? evhttp_uri_get_path(uri) : NULL,
                uri != NULL ? evhttp_uri_get_query(uri) : NULL);
    if (is_for_any_origin(&route))
        allow_any_origin(request);
    if (method == EVHTTP_REQ_OPTIONS) {
        answer_options(http, request, &route);
    } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        header(request, "Allow", ALLOWED);
        answer_error(http, request, 405, "Method Not Allowed", "accepted are " ALLOWED);
    } else {
        answer_route(http, request, &route);
    }
}

/* ---- making ---- */

/* Packs the body as small as it gets; where that fails or gains nothing it is sent as it is. */
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
    uint64_t tag = fnv(FNV_START, file->body, file->bytes);
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
    static const int codes[HTTP_CODES] = {200, 204, 304, 400, 404, 405, 500, 503};
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
    if (evhttp_bind_socket_with_handle(http->server, config->address, config->port) != NULL)
        return 0;
    int why = errno;
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
    if (http->server == NULL || http->sweep == NULL || make_files(http) != 0 ||
        events_arm(http->sweep, SWEEP_MS) != 0) {
        error_say(error, error_bytes, "no memory");
        goto fail;
    }
    if (listen_http(http, error, error_bytes) != 0)
        goto fail;
    /* Not ours to keep. */
    http->config.address = http->config.websocket_url = http->config.topic_prefix = NULL;
    return http;
fail:
    http_free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    if (http->server != NULL)
        evhttp_free(http->server);
    while (http->connections != NULL)
        release(http, http->connections);
    events_free(http->sweep);
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
