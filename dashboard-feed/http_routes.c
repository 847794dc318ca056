/* What each path answers, and with which methods. Only totals are elsewhere (http_totals.c), as
 * they wait for Redis. */
#include "http_routes.h"

#include "daemon/exposition.h"

#include <event2/buffer.h>
#include <string.h>

#define ALLOWED "GET, HEAD, OPTIONS"

void http_routes_read(struct evhttp_request *request, struct route *route)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    route_parse(route, uri != NULL ? evhttp_uri_get_path(uri) : NULL,
                uri != NULL ? evhttp_uri_get_query(uri) : NULL);
}

static bool is_for_any_origin(const struct route *route)
{
    return route->kind == ROUTE_TOTAL || route->kind == ROUTE_TOTALS || route->kind == ROUTE_BAD ||
           (route->kind == ROUTE_FILE && strncmp(route->file, "tally", 5) == 0);
}

static void answer_options(const struct http_routes *routes, struct evhttp_request *request,
                           const struct route *route)
{
    http_answers_header(request, "Allow", ALLOWED);
    if (is_for_any_origin(route)) {
        http_answers_header(request, "Access-Control-Allow-Methods", ALLOWED);
        http_answers_header(request, "Access-Control-Allow-Headers", "If-None-Match");
        http_answers_header(request, "Access-Control-Max-Age", "86400");
    }
    http_answers_send(routes->answers, request, 204, "No Content", NULL, NULL, 0);
}

/* /healthz, /readyz and /livez. */
static void answer_probe(const struct http_routes *routes, struct evhttp_request *request,
                         const char *(*ask)(void *user, bool *ok))
{
    bool ok = false;
    const char *json = ask(routes->config->user, &ok);
    http_answers_header(request, "Cache-Control", "no-store");
    http_answers_send(routes->answers, request, ok ? 200 : 503, ok ? "OK" : "Service Unavailable",
                      HTTP_ANSWERS_JSON, json, strlen(json));
}

/* /livez: that the loop answers is the proof. */
static const char *is_alive(void *user, bool *ok)
{
    (void)user;
    *ok = true;
    return "{\"status\":\"alive\"}";
}

static void answer_metrics(const struct http_routes *routes, struct evhttp_request *request)
{
    struct evbuffer *text = evbuffer_new();
    if (text == NULL) {
        http_answers_away(routes->answers, request, "no memory");
        return;
    }
    routes->config->metrics(routes->config->user, text);
    http_answers_header(request, "Cache-Control", "no-store");
    size_t bytes = evbuffer_get_length(text);
    http_answers_send(routes->answers, request, 200, "OK", EXPOSITION_TYPE,
                      bytes > 0 ? evbuffer_pullup(text, -1) : (unsigned char *)"", bytes);
    evbuffer_free(text);
}

static void answer_route(const struct http_routes *routes, struct evhttp_request *request,
                         const struct route *route)
{
    switch (route->kind) {
    case ROUTE_BAD:
        http_answers_error(routes->answers, request, 400, "Bad Request", route->error);
        return;
    case ROUTE_METRICS:
        answer_metrics(routes, request);
        return;
    case ROUTE_HEALTH:
        answer_probe(routes, request, routes->config->health);
        return;
    case ROUTE_READY:
        answer_probe(routes, request, routes->config->ready);
        return;
    case ROUTE_LIVE:
        answer_probe(routes, request, is_alive);
        return;
    case ROUTE_EMBED:
        if (http_files_answer(routes->files, routes->answers, request, "embed.html", true))
            return;
        break;
    case ROUTE_FILE:
        if (http_files_answer(routes->files, routes->answers, request, route->file, false))
            return;
        break;
    case ROUTE_TOTAL: /* looked up */
    case ROUTE_TOTALS:
    case ROUTE_NOTHING:
        break;
    }
    http_answers_error(routes->answers, request, 404, "Not Found",
                       "known are /, /dashboard, /ops, /tally.js, /embed?article=, "
                       "/totals/<article>, /totals?articles=a,b,c, "
                       "/metrics, /healthz, /readyz and /livez");
}

void http_routes_answer(const struct http_routes *routes, struct evhttp_request *request,
                        const struct route *route)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    if (is_for_any_origin(route))
        http_answers_any_origin(request);
    if (method == EVHTTP_REQ_OPTIONS) {
        answer_options(routes, request, route);
    } else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        http_answers_header(request, "Allow", ALLOWED);
        http_answers_error(routes->answers, request, 405, "Method Not Allowed",
                           "accepted are " ALLOWED);
    } else {
        answer_route(routes, request, route);
    }
}
