/* Addresses are tried one after the other when one refuses at once. One that does not answer uses
 * up the time of its attempt (which the caller bounds), and the next attempt begins with the next
 * address. */
#include "redis/redis_dial.h"

#include "daemon/events.h"
#include "daemon/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEEP_ALIVE_IDLE_S 15
#define KEEP_ALIVE_EVERY_S 5
#define KEEP_ALIVE_TRIES 3
#define ADDRESSES_MAX 16
#define WHY_BYTES 160

struct redis_dial {
    struct event_base *base;
    char *host;
    int port;
    redis_dial_cb *fn;
    void *user;
    struct names *names; /* NULL: the host is an address or a path */
    bool resolves;
    struct addrinfo *found;
    unsigned addresses, tried;
    unsigned turn; /* the address to begin with */
    int fd;        /* being connected; -1 */
    struct event *writable;
};

static void forget_fd(struct redis_dial *dial)
{
    events_free(dial->writable);
    dial->writable = NULL;
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

static void forget_addresses(struct redis_dial *dial)
{
    if (dial->found != NULL)
        freeaddrinfo(dial->found);
    dial->found = NULL;
}

static void done(struct redis_dial *dial, int fd, const char *why)
{
    forget_addresses(dial);
    dial->fn(dial->user, fd, why);
}

static void redis_dial_connected(struct redis_dial *dial)
{
    int fd = dial->fd;
    dial->fd = -1;
    forget_fd(dial);
    done(dial, fd, "");
}

static void next_address(struct redis_dial *dial, int error);

static void on_writable(evutil_socket_t fd, short what, void *user)
{
    struct redis_dial *dial = user;
    int error = 0;
    socklen_t bytes = sizeof error;
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    if (error == 0) {
        redis_dial_connected(dial);
        return;
    }
    forget_fd(dial);
    next_address(dial, error);
}

static void tune(int fd)
{
    const int on = 1, idle = KEEP_ALIVE_IDLE_S, every = KEEP_ALIVE_EVERY_S,
              tries = KEEP_ALIVE_TRIES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

/* Returns 0 if it is connected or being connected, else the error. */
static int dial_try(struct redis_dial *dial, const struct sockaddr *at, socklen_t bytes)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    dial->fd = fd;
    if (at->sa_family != AF_UNIX)
        tune(fd);
    int rc;
    do
        rc = connect(fd, at, bytes);
    while (rc != 0 && errno == EINTR);
    int error = rc == 0 || errno == EINPROGRESS ? 0 : errno;
    if (error == 0) {
        dial->writable = event_new(dial->base, fd, EV_WRITE, on_writable, dial);
        if (dial->writable == NULL || event_add(dial->writable, NULL) != 0)
            error = ENOMEM;
    }
    if (error != 0)
        forget_fd(dial);
    return error;
}

static void set_port(struct sockaddr *at, int port)
{
    if (at->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)at)->sin_port = htons((uint16_t)port);
    else if (at->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)at)->sin6_port = htons((uint16_t)port);
}

/* `error` is why the one before failed. */
static void next_address(struct redis_dial *dial, int error)
{
    while (dial->tried < dial->addresses) {
        unsigned number = (dial->turn + dial->tried++) % dial->addresses;
        struct addrinfo *one = dial->found;
        while (number-- > 0)
            one = one->ai_next;
        set_port(one->ai_addr, dial->port);
        error = dial_try(dial, one->ai_addr, one->ai_addrlen);
        if (error == 0)
            return;
    }
    done(dial, -1, strerror(error));
}

static void on_found(void *user, struct addrinfo *found, const char *why)
{
    struct redis_dial *dial = user;
    dial->resolves = false;
    if (found == NULL) {
        char words[WHY_BYTES];
        snprintf(words, sizeof words, "%.60s cannot be resolved: %s", dial->host, why);
        done(dial, -1, words);
        return;
    }
    dial->found = found;
    dial->tried = dial->addresses = 0;
    for (; found != NULL && dial->addresses < ADDRESSES_MAX; found = found->ai_next)
        dial->addresses++;
    next_address(dial, 0);
}

static void start_path(struct redis_dial *dial)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(dial->host) >= sizeof at.sun_path) {
        done(dial, -1, strerror(ENAMETOOLONG));
        return;
    }
    memcpy(at.sun_path, dial->host, strlen(dial->host) + 1);
    int error = dial_try(dial, (const struct sockaddr *)&at, sizeof at);
    if (error != 0)
        done(dial, -1, strerror(error));
}

static struct addrinfo *as_address(const char *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    return getaddrinfo(host, NULL, &hints, &found) == 0 ? found : NULL;
}

void redis_dial_start(struct redis_dial *dial)
{
    if (dial->host[0] == '/') {
        start_path(dial);
    } else if (dial->names == NULL) {
        on_found(dial, as_address(dial->host), strerror(ENOMEM));
    } else if (names_ask(dial->names) == 0) {
        dial->resolves = true;
    } else {
        on_found(dial, NULL, "no thread can be started");
    }
}

void redis_dial_cancel(struct redis_dial *dial)
{
    if (dial->names != NULL)
        names_cancel(dial->names);
    dial->resolves = false;
    forget_fd(dial);
    forget_addresses(dial);
}

void redis_dial_turn(struct redis_dial *dial)
{
    dial->turn++;
}

const char *redis_dial_awaits(const struct redis_dial *dial)
{
    return dial->resolves ? "the name to be resolved" : dial->fd >= 0 ? "a connection" : NULL;
}

struct redis_dial *redis_dial_new(struct event_base *base, const char *host, int port,
                                  redis_dial_cb *fn, void *user)
{
    struct redis_dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL)
        return NULL;
    *dial = (struct redis_dial){.base = base, .port = port, .fn = fn, .user = user, .fd = -1};
    dial->host = strdup(host);
    struct addrinfo *address = host[0] != '/' ? as_address(host) : NULL;
    if (address != NULL)
        freeaddrinfo(address);
    else if (host[0] != '/')
        dial->names = names_new(base, host, on_found, dial);
    if (dial->host == NULL || (host[0] != '/' && address == NULL && dial->names == NULL)) {
        redis_dial_free(dial);
        return NULL;
    }
    return dial;
}

void redis_dial_free(struct redis_dial *dial)
{
    if (dial == NULL)
        return;
    redis_dial_cancel(dial);
    names_free(dial->names);
    free(dial->host);
    free(dial);
}
