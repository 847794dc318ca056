#include "connection.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int socket;
    enum wire_version version;
    unsigned char *out, *in;
    size_t out_room, in_room;
    size_t out_from, out_to; /* what waits to be sent */
    size_t in_bytes;         /* the beginning of a packet */
    int awaited;             /* as the kernel knows it */
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

struct connection *connection_open(const struct addrinfo *addresses, const struct wire_login *login,
                                   size_t out_bytes, size_t in_bytes, char *error,
                                   size_t error_bytes)
{
    struct connection *connection = new_connection(out_bytes, in_bytes);
    if (connection == NULL) {
        error_say(error, error_bytes, "no memory for a connection");
        return NULL;
    }
    connection->version = login->version;
    connection->socket = connect_first(addresses);
    if (connection->socket < 0) {
        error_say(error, error_bytes, "cannot connect: %s", strerror(errno));
        goto fail;
    }
    connection->out_to = wire_connect(connection->out, out_bytes, login);
    if (connection->out_to == 0) {
        error_say(error, error_bytes, "user name or password are too long");
        goto fail;
    }
    if (connection_flush(connection) != 1) {
        error_say(error, error_bytes, "cannot send CONNECT: %s", strerror(errno));
        goto fail;
    }
    return connection;
fail:
    connection_free(connection);
    return NULL;
}

int connection_accepted(struct connection *connection, unsigned *receive_maximum, char *error,
                        size_t error_bytes)
{
    struct wire_frame frame;
    int reason, whole = 0;
    while (whole == 0 && connection->in_bytes < connection->in_room) {
        ssize_t got = recv(connection->socket, connection->in + connection->in_bytes,
                           connection->in_room - connection->in_bytes, 0);
        if (got <= 0)
            return error_say(error, error_bytes, "no answer to CONNECT: %s",
                             got == 0 ? "the broker hung up" : strerror(errno));
        connection->in_bytes += (size_t)got;
        whole = wire_frame(connection->in, connection->in_bytes, &frame);
    }
    if (whole != 1 || wire_read_connack(&frame, connection->version, &reason, receive_maximum) != 0)
        return error_say(error, error_bytes, "the answer to CONNECT is not MQTT's");
    if (reason != 0)
        return error_say(error, error_bytes, "the broker refused the connection: reason 0x%02x",
                         (unsigned)reason);
    connection->in_bytes -= frame.bytes;
    memmove(connection->in, connection->in + frame.bytes, connection->in_bytes);
    if (fcntl(connection->socket, F_SETFL, O_NONBLOCK) != 0)
        return error_say(error, error_bytes, "fcntl: %s", strerror(errno));
    return 0;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    if (connection->socket >= 0) {
        unsigned char bye[2];
        size_t bytes = wire_disconnect(bye, sizeof bye);
        (void)send(connection->socket, bye, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(connection->socket);
    }
    free(connection->out);
    free(connection->in);
    free(connection);
}

int connection_socket(const struct connection *connection)
{
    return connection->socket;
}

unsigned char *connection_room(struct connection *connection, size_t *room)
{
    *room = connection->out_room - connection->out_to;
    return connection->out + connection->out_to;
}

void connection_put(struct connection *connection, size_t bytes)
{
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
    ssize_t got = recv(connection->socket, connection->in + connection->in_bytes,
                       connection->in_room - connection->in_bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    connection->in_bytes += (size_t)got;
    while ((whole = wire_frame(connection->in + at, connection->in_bytes - at, &frame)) == 1) {
        if (fn(user, &frame) != 0)
            return -1;
        at += frame.bytes;
    }
    connection->in_bytes -= at;
    memmove(connection->in, connection->in + at, connection->in_bytes);
    return whole < 0 || connection->in_bytes == connection->in_room ? -1 : 0;
}
