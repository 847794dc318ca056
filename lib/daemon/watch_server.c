/* Reads a request's head, answers, and waits for the client to close. On bufferevents and not on
 * evhttp, which cannot bound its connections, nor the time of a request that drips in. */
#include "daemon/watch_server.h"

#include "daemon/events.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 64
#define BURST 4                /* connections accepted before those that are open are read */
#define NO_DESCRIPTORS_MS 1000 /* until the next attempt to accept */

struct connection {
    struct watch_server *server;
    struct bufferevent *stream; /* NULL: free */
    struct event *deadline;
    uint64_t number; /* rises with each connection */
    bool answered;
    bool ended; /* the client says no more, and still gets its answer */
};

struct watch_server {
    struct watch_server_config config;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *again; /* accepts further connections, in another turn of the loop */
    unsigned burst;
    struct connection connection[WATCH_SERVER_CONNECTIONS];
    uint64_t accepted;
};

static void connection_close(struct connection *connection)
{
    if (connection->stream != NULL)
        bufferevent_free(connection->stream);
    events_free(connection->deadline);
    connection->stream = NULL;
    connection->deadline = NULL;
}

/* ---- a request ---- */

static const char *reason_of(int code)
{
    return code == 200   ? "OK"
           : code == 400 ? "Bad Request"
           : code == 404 ? "Not Found"
           : code == 405 ? "Method Not Allowed"
                         : "Service Unavailable";
}

static void connection_send(struct connection *connection, int code, const char *type,
                            struct evbuffer *body, bool head)
{
    struct evbuffer *out = bufferevent_get_output(connection->stream);
    connection->answered = true;
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: %s\r\n"
                        "Content-Length: %zu\r\n"
                        "Cache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\n"
                        "%sConnection: close\r\n\r\n",
                        code, reason_of(code), type, evbuffer_get_length(body),
                        code == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head)
        evbuffer_add_buffer(out, body);
}

static void connection_refuse(struct connection *connection, int code, struct evbuffer *body,
                              const char *error, bool head)
{
    evbuffer_drain(body, evbuffer_get_length(body));
    evbuffer_add_printf(body, "{\"error\":\"%s\"}", error);
    connection_send(connection, code, "application/json", body, head);
}

static void connection_answer(struct connection *connection, char *request, struct evbuffer *body)
{
    const struct watch_server_config *config = &connection->server->config;
    char method[8], path[WATCH_SERVER_PATH_BYTES], version[16];
    const char *type = "text/plain";
    if (sscanf(request, "%7[A-Z] %255[!-~] %15[!-~]", method, path, version) != 3 ||
        path[0] != '/' || strncmp(version, "HTTP/1.", 7) != 0) {
        connection_refuse(connection, 400, body, "this request cannot be read", false);
        return;
    }
    bool head = strcmp(method, "HEAD") == 0;
    if (!head && strcmp(method, "GET") != 0) {
        connection_refuse(connection, 405, body, "accepted are GET, HEAD", false);
        return;
    }
    path[strcspn(path, "?")] = '\0';
    int code = config->answer(config->user, path, body, &type);
    if (code == 404)
        connection_refuse(connection, code, body, config->paths, head);
    else
        connection_send(connection, code, type, body, head);
}

static void on_read(struct bufferevent *stream, void *user)
{
    struct connection *connection = user;
    struct evbuffer *in = bufferevent_get_input(stream);
    char request[WATCH_SERVER_REQUEST_BYTES + 1];
    size_t bytes = evbuffer_get_length(in);
    bool whole = evbuffer_search(in, "\r\n\r\n", 4, NULL).pos >= 0;
    if (connection->answered) { /* it need not say more */
        evbuffer_drain(in, bytes);
        return;
    }
    if (!whole && bytes < WATCH_SERVER_REQUEST_BYTES)
        return;
    struct evbuffer *body = evbuffer_new();
    if (body == NULL) {
        connection_close(connection);
        return;
    }
    ev_ssize_t got = evbuffer_remove(in, request, WATCH_SERVER_REQUEST_BYTES);
    request[got > 0 ? got : 0] = '\0';
    if (whole)
        connection_answer(connection, request, body);
    else
        connection_refuse(connection, 400, body, "this request is too long", false);
    evbuffer_free(body);
}

/* All is written. A close at once could reset the connection before the client has read it. */
static void on_written(struct bufferevent *stream, void *user)
{
    struct connection *connection = user;
    if (connection->ended)
        connection_close(connection);
    else if (connection->answered)
        (void)shutdown(bufferevent_getfd(stream), SHUT_WR);
}

static void on_end(struct bufferevent *stream, short what, void *user)
{
    struct connection *connection = user;
    if ((what & BEV_EVENT_EOF) && connection->answered &&
        evbuffer_get_length(bufferevent_get_output(stream)) > 0) {
        connection->ended = true; /* on_written closes it, or the deadline */
        bufferevent_disable(stream, EV_READ);
        return;
    }
    connection_close(connection);
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    connection_close(user);
}

/* ---- connections ---- */

static struct connection *connection_free(struct watch_server *server)
{
    struct connection *oldest = &server->connection[0];
    for (int i = 0; i < WATCH_SERVER_CONNECTIONS; i++) {
        struct connection *one = &server->connection[i];
        if (one->stream == NULL)
            return one;
        if (one->number < oldest->number)
            oldest = one;
    }
    connection_close(oldest);
    return oldest;
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    struct watch_server *server = user;
    (void)fd;
    (void)what;
    server->burst = 0;
    evconnlistener_enable(server->listener);
}

static void pause_accepting(struct watch_server *server, unsigned pause_ms)
{
    evconnlistener_disable(server->listener);
    events_arm(server->again, pause_ms);
}

static void on_accept_error(struct evconnlistener *listener, void *user)
{
    (void)listener;
    pause_accepting(user, NO_DESCRIPTORS_MS);
}

/* A further connection closes the oldest, which must have had its turn to be read before. */
static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int bytes, void *user)
{
    struct watch_server *server = user;
    struct connection *connection = connection_free(server);
    (void)listener;
    (void)from;
    (void)bytes;
    if (++server->burst >= BURST)
        pause_accepting(server, 1);
    connection->stream = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (connection->stream == NULL) {
        evutil_closesocket(fd);
        return;
    }
    connection->server = server;
    connection->number = ++server->accepted;
    connection->answered = connection->ended = false;
    connection->deadline = evtimer_new(server->base, on_deadline, connection);
    bufferevent_setcb(connection->stream, on_read, on_written, on_end, connection);
    bufferevent_setwatermark(connection->stream, EV_READ, 0, WATCH_SERVER_REQUEST_BYTES);
    if (connection->deadline == NULL ||
        events_arm(connection->deadline, WATCH_SERVER_MAX_WAIT_MS) != 0 ||
        bufferevent_enable(connection->stream, EV_READ | EV_WRITE) != 0)
        connection_close(connection);
}

/* ---- making ---- */

static int watch_server_listen(struct watch_server *server,
                               const struct watch_server_config *config, struct error *error)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", config->port);
    if (getaddrinfo(config->address, port, &hints, &found) != 0)
        return error_set(error, "option %s: %s is not a numeric address such as 127.0.0.1 or ::",
                         config->option_address, config->address);
    errno = 0;
    server->listener = evconnlistener_new_bind(server->base, on_accept, server, flags, BACKLOG,
                                               found->ai_addr, (int)found->ai_addrlen);
    int why = errno;
    freeaddrinfo(found);
    if (server->listener != NULL) {
        evconnlistener_set_error_cb(server->listener, on_accept_error);
        return 0;
    }
    return error_set(
        error, "option %s: cannot listen on %s port %u: %s; choose another, or %s 0 to serve none",
        why == EADDRINUSE || why == EACCES ? config->option_port : config->option_address,
        config->address, config->port, why != 0 ? strerror(why) : "no memory", config->option_port);
}

struct watch_server *watch_server_new(struct event_base *base,
                                      const struct watch_server_config *config, struct error *error)
{
    struct watch_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    server->base = base;
    server->config = *config;
    server->config.address = NULL; /* not ours to keep */
    server->again = evtimer_new(base, on_again, server);
    if (server->again == NULL)
        error_set(error, "no memory");
    else if (watch_server_listen(server, config, error) == 0)
        return server;
    watch_server_free(server);
    return NULL;
}

void watch_server_free(struct watch_server *server)
{
    if (server == NULL)
        return;
    for (int i = 0; i < WATCH_SERVER_CONNECTIONS; i++)
        connection_close(&server->connection[i]);
    if (server->listener != NULL)
        evconnlistener_free(server->listener);
    events_free(server->again);
    free(server);
}
