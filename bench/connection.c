/* Connects, upgrades to WebSocket if asked, logs in, then reads and writes packets. */
#include "connection.h"

#include "core/error.h"
#include "splitmix.h"
#include "websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int socket;
    enum wire_version version;
    unsigned char *out, *in;
    size_t out_room, in_room;
    size_t out_from, out_to;     /* what waits to be sent */
    size_t in_bytes;             /* the beginning of a packet */
    int awaited;                 /* as the kernel knows it */
    struct websocket *websocket; /* NULL: TCP alone */
    uint64_t random;             /* for its masks */
};

static struct connection *new_connection(size_t out_bytes, size_t in_bytes)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->socket = -1;
    connection->out_room = out_bytes;
    connection->in_room = in_bytes;
    connection->awaited = 1;
    connection->out = malloc(out_bytes);
    connection->in = malloc(in_bytes);
    if (connection->out == NULL || connection->in == NULL) {
        connection_free(connection);
        return NULL;
    }
    return connection;
}

static int connect_first(const struct addrinfo *address)
{
    const struct timeval wait = {.tv_sec = CONNECTION_WAIT_S};
    const int on = 1;
    int s = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (s < 0)
        return -1;
    if (setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        connect(s, address->ai_addr, address->ai_addrlen) == 0)
        return s;
    int why = errno;
    close(s);
    errno = why;
    return -1;
}

int connection_resolve(const char *host, unsigned port, struct addrinfo **out, struct error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char text[8];
    snprintf(text, sizeof text, "%u", port);
    int resolved = getaddrinfo(host, text, &hints, out);
    return resolved == 0 ? 0
                         : error_set(error, "option host: %s: %s", host, gai_strerror(resolved));
}

/* Connected, with nothing sent. */
static struct connection *reach(const struct addrinfo *addresses, size_t out_bytes, size_t in_bytes,
                                struct error *error)
{
    struct connection *connection = new_connection(out_bytes, in_bytes);
    if (connection == NULL) {
        error_set(error, "no memory for a connection");
        return NULL;
    }
    connection->socket = connect_first(addresses);
    if (connection->socket < 0) {
        error_set(error, "cannot connect: %s", strerror(errno));
        connection_free(connection);
        return NULL;
    }
    return connection;
}

static int send_connect(struct connection *connection, const struct wire_login *login,
                        struct error *error)
{
    size_t room;
    unsigned char *out = connection_room(connection, &room);
    size_t bytes = wire_connect(out, room, login);
    connection->version = login->version;
    if (bytes == 0)
        return error_set(error, "user name or password are too long");
    connection_put(connection, bytes);
    if (connection_flush(connection) != 1)
        return error_set(error, "cannot send CONNECT: %s", strerror(errno));
    return 0;
}

struct connection *connection_open(const struct addrinfo *addresses, const struct wire_login *login,
                                   size_t out_bytes, size_t in_bytes, struct error *error)
{
    struct connection *connection = reach(addresses, out_bytes, in_bytes, error);
    if (connection != NULL && send_connect(connection, login, error) != 0) {
        connection_free(connection);
        return NULL;
    }
    return connection;
}

struct connection *connection_open_websocket(const struct addrinfo *addresses, const char *host,
                                             size_t out_bytes, size_t in_bytes, struct error *error)
{
    struct connection *connection = reach(addresses, out_bytes, in_bytes, error);
    if (connection == NULL)
        return NULL;
    connection->out_to = websocket_request((char *)connection->out, out_bytes, host);
    if (connection->out_to == 0 || connection_flush(connection) != 1) {
        error_set(error, "cannot ask for WebSocket: %s",
                  connection->out_to == 0 ? "the host's name is too long" : strerror(errno));
        goto fail;
    }
    connection->random = (uint64_t)getpid() << 32 | (unsigned)connection->socket;
    connection->websocket = calloc(1, sizeof *connection->websocket);
    if (connection->websocket == NULL) {
        error_set(error, "no memory for a connection");
        goto fail;
    }
    return connection;
fail:
    connection_free(connection);
    return NULL;
}

static const char *why_no_answer(ssize_t got)
{
    return got == 0 ? "the broker hung up" : strerror(errno);
}

int connection_upgraded(struct connection *connection, const struct wire_login *login,
                        struct error *error)
{
    size_t used = 0;
    int whole = 0;
    while (whole == 0 && connection->in_bytes < connection->in_room) {
        ssize_t got = recv(connection->socket, connection->in + connection->in_bytes,
                           connection->in_room - connection->in_bytes, 0);
        if (got <= 0)
            return error_set(error, "no answer to the request for WebSocket: %s",
                             why_no_answer(got));
        connection->in_bytes += (size_t)got;
        whole = websocket_answer((const char *)connection->in, connection->in_bytes, &used);
    }
    if (whole != 1 ||
        used != connection->in_bytes) /* before CONNECT, a broker has nothing to say */
        return error_set(
            error, "option websocket: on, and the broker's port does not speak WebSocket with "
                   "subprotocol mqtt");
    connection->in_bytes = 0;
    return send_connect(connection, login, error);
}

/* A ping of WebSocket's wants an answer; where several came, one to the last is enough. */
static int answer_ping(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;
    if (!websocket->pinged)
        return 0;
    websocket->pinged = false;
    if (connection->out_room - connection->out_to <
        WEBSOCKET_BEFORE_BYTES + (size_t)websocket->control_bytes)
        return -1;
    unsigned char *at = connection->out + connection->out_to;
    memcpy(at + WEBSOCKET_BEFORE_BYTES, websocket->control, websocket->control_bytes);
    connection->out_to += websocket_wrap(at, WEBSOCKET_PONG, websocket->control_bytes,
                                         (uint32_t)splitmix_next(&connection->random));
    return connection_flush(connection) < 0 ? -1 : 0;
}

/* Reads once. As recv; but with WebSocket what came may be no byte of MQTT's. */
static ssize_t receive(struct connection *connection)
{
    unsigned char *at = connection->in + connection->in_bytes;
    size_t bytes = 0;
    ssize_t got = recv(connection->socket, at, connection->in_room - connection->in_bytes, 0);
    if (got <= 0)
        return got;
    if (connection->websocket == NULL) {
        bytes = (size_t)got;
    } else if (websocket_read(connection->websocket, at, (size_t)got, &bytes) != 0 ||
               answer_ping(connection) != 0) {
        errno = EPROTO;
        return -1;
    }
    connection->in_bytes += bytes;
    return got;
}

int connection_accepted(struct connection *connection, unsigned *receive_maximum,
                        struct error *error)
{
    struct wire_frame frame;
    int reason, whole = 0;
    while (whole == 0 && connection->in_bytes < connection->in_room) {
        ssize_t got = receive(connection);
        if (got <= 0)
            return error_set(error, "no answer to CONNECT: %s", why_no_answer(got));
        whole = wire_frame(connection->in, connection->in_bytes, &frame);
    }
    if (whole != 1 || wire_read_connack(&frame, connection->version, &reason, receive_maximum) != 0)
        return error_set(error, "the answer to CONNECT is not MQTT's");
    if (reason != 0)
        return error_set(error, "the broker refused the connection: reason 0x%02x",
                         (unsigned)reason);
    connection->in_bytes -= frame.bytes;
    memmove(connection->in, connection->in + frame.bytes, connection->in_bytes);
    if (fcntl(connection->socket, F_SETFL, O_NONBLOCK) != 0)
        return error_set(error, "fcntl: %s", strerror(errno));
    return 0;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    if (connection->socket >= 0) {
        size_t room;
        unsigned char *bye = connection_room(connection, &room);
        connection_put(connection, wire_disconnect(bye, room));
        (void)fcntl(connection->socket, F_SETFL, O_NONBLOCK);
        (void)connection_flush(connection);
        close(connection->socket);
    }
    free(connection->out);
    free(connection->in);
    free(connection->websocket);
    free(connection);
}

int connection_socket(const struct connection *connection)
{
    return connection->socket;
}

unsigned char *connection_room(struct connection *connection, size_t *room)
{
    size_t before = connection->websocket == NULL ? 0 : WEBSOCKET_BEFORE_BYTES;
    size_t left = connection->out_room - connection->out_to;
    *room = left > before ? left - before : 0;
    return connection->out + connection->out_to + (left > before ? before : 0);
}

void connection_put(struct connection *connection, size_t bytes)
{
    if (connection->websocket != NULL && bytes > 0)
        bytes = websocket_wrap(connection->out + connection->out_to, WEBSOCKET_BINARY, bytes,
                               (uint32_t)splitmix_next(&connection->random));
    connection->out_to += bytes;
}

size_t connection_waiting(const struct connection *connection)
{
    return connection->out_to - connection->out_from;
}

int connection_flush(struct connection *connection)
{
    while (connection->out_from < connection->out_to) {
        ssize_t sent = send(connection->socket, connection->out + connection->out_from,
                            connection->out_to - connection->out_from, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (sent < 0)
            return -1;
        connection->out_from += (size_t)sent;
    }
    connection->out_from = connection->out_to = 0;
    return 1;
}

void connection_await(struct connection *connection, size_t bytes)
{
    int awaited = bytes > connection->in_bytes ? (int)(bytes - connection->in_bytes) : 1;
    if (awaited == connection->awaited)
        return;
    if (setsockopt(connection->socket, SOL_SOCKET, SO_RCVLOWAT, &awaited, sizeof awaited) == 0)
        connection->awaited = awaited;
}

int connection_read(struct connection *connection, connection_fn fn, void *user)
{
    struct wire_frame frame;
    size_t at = 0;
    int whole;
    ssize_t got = receive(connection);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    while ((whole = wire_frame(connection->in + at, connection->in_bytes - at, &frame)) == 1) {
        if (fn(user, &frame) != 0)
            return -1;
        at += frame.bytes;
    }
    connection->in_bytes -= at;
    memmove(connection->in, connection->in + at, connection->in_bytes);
    return whole < 0 || connection->in_bytes == connection->in_room ? -1 : 0;
}
