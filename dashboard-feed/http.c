/* Puts the server's parts together: evhttp accepts and parses, http_connections gives each request
 * its turn, then http_totals or http_routes answers it. */
#include "http.h"

#include "core/error.h"
#include "http_answers.h"
#include "http_connections.h"
#include "http_files.h"
#include "http_routes.h"
#include "http_totals.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ALL_METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct http {
    struct http_config config;
    struct evhttp *server;
    struct http_connections *connections;
    struct http_answers answers;
    struct http_files *files;
    struct http_totals totals;
    struct http_routes routes;
};

static struct http_totals_question *question_of(struct visitors_request *turn)
{
    return (struct http_totals_question *)(void *)((char *)turn -
                                                   offsetof(struct http_totals_question, turn));
}

/* Takes the question over. */
static void answer_question(struct http *http, struct http_totals_question *question)
{
    struct route route;
    if (question->n > 0) {
        http_answers_any_origin(question->request);
        http_totals_ask(&http->totals, question);
        return;
    }
    http_routes_read(question->request, &route);
    http_routes_answer(&http->routes, question->request, &route);
    free(question);
}

static void on_request(struct evhttp_request *request, void *user)
{
    struct http *http = user;
    struct route route;
    http_routes_read(request, &route);
    struct http_totals_question *question = http_totals_question_new(request, &route);
    http_connections_touch(http->connections, request, true);
    if (question == NULL)
        http_answers_away(&http->answers, request, "no memory");
    else if (!http_connections_wait(http->connections, request, &question->turn))
        answer_question(http, question);
}

static void on_turn(void *user, struct visitors_request *turn)
{
    answer_question(user, question_of(turn));
}

static void on_dropped(void *user, struct visitors_request *turn)
{
    struct http *http = user;
    struct http_totals_question *question = question_of(turn);
    http_answers_away(&http->answers, question->request,
                      "too many connections of this address, or too slow");
    free(question);
}

static void on_replaced(void *user, int status)
{
    struct http *http = user;
    http_answers_count(&http->answers, status);
}

/* ---- making ---- */

static int listen_http(struct http *http, struct error *error)
{
    const struct http_config *config = &http->config;
    evhttp_set_gencb(http->server, on_request, http);
    evhttp_set_bevcb(http->server, http_connections_accept, http->connections);
    evhttp_set_allowed_methods(http->server, ALL_METHODS); /* others than ours are answered 405 */
    evhttp_set_max_headers_size(http->server, HTTP_MAX_HEADER_BYTES);
    evhttp_set_max_body_size(http->server, HTTP_MAX_BODY_BYTES);
    errno = 0;
    struct evhttp_bound_socket *bound =
        evhttp_bind_socket_with_handle(http->server, config->address, config->port);
    int why = errno;
    if (bound != NULL && listen(evhttp_bound_socket_get_fd(bound), HTTP_BACKLOG) == 0) {
        http_connections_listen(http->connections, evhttp_bound_socket_get_listener(bound));
        return 0;
    }
    return error_set(error, "option %s: cannot listen on %s port %u: %s",
                     why == EADDRINUSE || why == EACCES ? "http_port" : "http_address",
                     config->address, config->port,
                     why != 0 ? strerror(why) : "no address of this machine");
}

static int make_parts(struct http *http, struct event_base *base)
{
    const struct http_connections_config connections = {.on_replaced = on_replaced,
                                                        .on_turn = on_turn,
                                                        .on_dropped = on_dropped,
                                                        .user = http,
                                                        .rate = http->config.rate,
                                                        .proxies = http->config.proxies,
                                                        .seed = http->config.seed};
    http->server = evhttp_new(base);
    http->connections = http_connections_new(base, &connections);
    http->files = http_files_new(&http->config);
    http_answers_init(&http->answers, http->connections);
    http->totals = (struct http_totals){
        .link = http->config.link, .answers = &http->answers, .connections = http->connections};
    http->routes = (struct http_routes){
        .config = &http->config, .files = http->files, .answers = &http->answers};
    return http->server == NULL || http->connections == NULL || http->files == NULL ? -1 : 0;
}

struct http *http_new(struct event_base *base, const struct http_config *config,
                      struct error *error)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    http->config = *config;
    if (make_parts(http, base) != 0) {
        error_set(error, "no memory");
        goto fail;
    }
    if (listen_http(http, error) != 0)
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
    if (http->connections != NULL)
        http_connections_drop_waiting(http->connections);
    if (http->server != NULL)
        evhttp_free(http->server);
    http_connections_free(http->connections);
    http_files_free(http->files);
    free(http);
}

struct http_stats http_stats(const struct http *http)
{
    struct http_connections_stats connections = http_connections_stats(http->connections);
    struct http_stats stats = {
        .connections = connections.open,
        .waiting = connections.waiting,
        .connections_dropped = connections.dropped,
        .rests = connections.rests,
        .addresses_refused = connections.refused,
        .lookups_refused = http->totals.refused,
        .body_bytes = http->answers.body_bytes,
    };
    memcpy(stats.answers, http->answers.by_code, sizeof stats.answers);
    return stats;
}
