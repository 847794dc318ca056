/* hiredis only formats commands and parses answers. Its asynchronous part cannot carry
 * shard channels, and in 0.14 has neither TLS nor a way to resolve names without blocking the loop.
 *
 * What is called back may free the wire. So `busy` counts the calls under way, and the last of them
 * releases the memory. */
#include "redis/redis_wire.h"

#include "daemon/clock.h"
#include "daemon/events.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS_MIN 64
#define TLS_ALERT 0x15 /* its first byte */
#define CLOSED "Server closed the connection"
#define READ_BYTES (16 * 1024)

struct redis_wire {
    struct redis_wire_config config;
    struct bufferevent *stream;
    struct redis_tls *tls;
    SSL *ssl;               /* the stream's; NULL: plain */
    struct event *readable; /* plain: reads beside the stream, which writes; else NULL */
    redisReader *reader;
    struct redis_wire_call *calls; /* a ring; its capacity is a power of two */
    size_t capacity, first, n;
    size_t fed_bytes; /* since the last whole answer */
    unsigned busy;
    uint64_t heard_ms;
    bool over_tcp, opens, stopped, freed;
};

static void redis_wire_release(struct redis_wire *wire)
{
    if (wire->busy > 0 || !wire->freed)
        return;
    if (wire->reader != NULL)
        redisReaderFree(wire->reader);
    free(wire->calls);
    free(wire);
}

/* --- the ring of calls --- */

static int grow(struct redis_wire *wire)
{
    size_t capacity = wire->capacity == 0 ? CALLS_MIN : wire->capacity * 2;
    if (capacity > REDIS_WIRE_CALLS_MAX)
        return -1;
    struct redis_wire_call *calls = malloc(capacity * sizeof *calls);
    if (calls == NULL)
        return -1;
    for (size_t i = 0; i < wire->n; i++)
        calls[i] = wire->calls[(wire->first + i) & (wire->capacity - 1)];
    free(wire->calls);
    wire->calls = calls;
    wire->capacity = capacity;
    wire->first = 0;
    return 0;
}

static struct redis_wire_call take_call(struct redis_wire *wire)
{
    struct redis_wire_call call = wire->calls[wire->first];
    wire->first = (wire->first + 1) & (wire->capacity - 1);
    wire->n--;
    return call;
}

int redis_wire_send(struct redis_wire *wire, const struct redis_wire_call *call, int argc,
                    const char **argv, const size_t *bytes)
{
    char *command = NULL;
    struct evbuffer *out = bufferevent_get_output(wire->stream);
    if (call != NULL && wire->n == wire->capacity && grow(wire) != 0)
        return -1;
    int length = redisFormatCommandArgv(&command, argc, argv, bytes);
    if (length < 0)
        return -1;
    int rc = evbuffer_get_length(out) + (size_t)length > REDIS_WIRE_MAX_BYTES
                 ? -1
                 : evbuffer_add(out, command, (size_t)length);
    redisFreeCommand(command);
    if (rc == 0 && call != NULL)
        wire->calls[(wire->first + wire->n++) & (wire->capacity - 1)] = *call;
    return rc;
}

/* --- answers --- */

static void end(struct redis_wire *wire, const char *why)
{
    if (wire->stopped)
        return;
    wire->stopped = true;
    wire->config.on_end(wire->config.user, why);
}

static void hand_out(struct redis_wire *wire, redisReply *reply)
{
    wire->fed_bytes = 0;
    if (wire->n > 0) {
        const struct redis_wire_call call = take_call(wire);
        wire->config.on_answer(wire->config.user, &call, reply);
    } else {
        wire->config.on_answer(wire->config.user, NULL, reply);
    }
    freeReplyObject(reply);
}

static void take_answers(struct redis_wire *wire)
{
    void *reply = NULL;
    while (!wire->stopped) {
        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
            end(wire, "it does not speak Redis's protocol");
            return;
        }
        if (reply == NULL)
            break;
        hand_out(wire, reply);
    }
    if (!wire->stopped && wire->fed_bytes > REDIS_WIRE_MAX_BYTES)
        end(wire, "an answer is longer than 64 MiB");
}

static void feed(struct redis_wire *wire, const char *at, size_t bytes)
{
    if (wire->ssl == NULL && wire->heard_ms == 0 && (unsigned char)at[0] == TLS_ALERT)
        end(wire, "it speaks TLS on this port: begin redis_url with rediss://");
    wire->heard_ms = clock_monotonic_ms();
    wire->fed_bytes += bytes;
    if (wire->stopped)
        return;
    if (redisReaderFeed(wire->reader, at, bytes) != REDIS_OK)
        end(wire, "no memory for an answer");
    else
        take_answers(wire);
}

static void on_decrypted(struct bufferevent *stream, void *user)
{
    struct redis_wire *wire = user;
    struct evbuffer *in = bufferevent_get_input(stream);
    size_t bytes;
    wire->busy++;
    while (!wire->stopped && (bytes = evbuffer_get_contiguous_space(in)) > 0) {
        feed(wire, (const char *)evbuffer_pullup(in, (ssize_t)bytes), bytes);
        if (!wire->freed)
            evbuffer_drain(in, bytes);
    }
    wire->busy--;
    redis_wire_release(wire);
}

/* Nothing came before the end: a port of another kind behaves so. */
static const char *hint(const struct redis_wire *wire)
{
    return wire->heard_ms == 0 && wire->over_tcp
               ? " before any answer; it may want TLS on this port (rediss://)"
               : "";
}

static void say_why(struct redis_wire *wire, int code, struct error *why)
{
    unsigned long tls_code = wire->ssl != NULL ? bufferevent_get_openssl_error(wire->stream) : 0;
    if (wire->ssl != NULL && (wire->heard_ms == 0 || ERR_reason_error_string(tls_code) != NULL))
        redis_tls_explain(wire->tls, wire->ssl, tls_code, why);
    else
        (void)error_write(why, "%s%s", code != 0 ? strerror(code) : CLOSED, hint(wire));
}

/* Without TLS. A bufferevent reads 4 KiB in a turn of the loop, which made long answers five times
 * as expensive. */
static void on_readable(evutil_socket_t fd, short what, void *user)
{
    struct redis_wire *wire = user;
    char in[READ_BYTES];
    struct error why;
    (void)what;
    ssize_t bytes = recv(fd, in, sizeof in, 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    wire->busy++;
    if (bytes > 0)
        feed(wire, in, (size_t)bytes);
    else {
        say_why(wire, bytes == 0 ? 0 : errno, &why);
        end(wire, why.text);
    }
    wire->busy--;
    redis_wire_release(wire);
}

/* --- the connection --- */

static void on_event(struct bufferevent *stream, short what, void *user)
{
    struct redis_wire *wire = user;
    struct error why;
    (void)stream;
    wire->busy++;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        wire->opens = false;
        if (!wire->stopped)
            wire->config.on_open(wire->config.user);
    } else if (!wire->stopped) {
        say_why(wire, (what & BEV_EVENT_ERROR) != 0 ? errno : 0, &why);
        end(wire, why.text);
    }
    wire->busy--;
    redis_wire_release(wire);
}

static struct bufferevent *make_stream(struct redis_wire *wire, struct event_base *base, int fd,
                                       const char *host)
{
    struct bufferevent *stream = NULL;
    if (wire->tls == NULL) {
        stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    } else if ((wire->ssl = redis_tls_connection(wire->tls, host)) != NULL) {
        stream = bufferevent_openssl_socket_new(base, fd, wire->ssl, BUFFEREVENT_SSL_CONNECTING,
                                                BEV_OPT_CLOSE_ON_FREE);
        if (stream == NULL)
            SSL_free(wire->ssl);
        else
            bufferevent_openssl_set_allow_dirty_shutdown(stream, 1); /* answers say their length */
    }
    if (stream == NULL)
        close(fd);
    return stream;
}

struct redis_wire *redis_wire_new(struct event_base *base, int fd, struct redis_tls *tls,
                                  const char *host, const struct redis_wire_config *config)
{
    struct redis_wire *wire = calloc(1, sizeof *wire);
    if (wire == NULL) {
        close(fd);
        return NULL;
    }
    wire->config = *config;
    wire->tls = tls;
    wire->opens = true;
    wire->over_tcp = host[0] != '/';
    wire->stream = make_stream(wire, base, fd, host);
    wire->reader = redisReaderCreate();
    if (wire->stream != NULL && tls == NULL) {
        (void)bufferevent_disable(wire->stream, EV_READ);
        wire->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, wire);
    }
    if (wire->stream == NULL || wire->reader == NULL ||
        (tls == NULL && (wire->readable == NULL || event_add(wire->readable, NULL) != 0))) {
        redis_wire_free(wire);
        return NULL; /* NOLINT(clang-analyzer-unix.Malloc): freed, as no callback is under way */
    }
    bufferevent_setcb(wire->stream, on_decrypted, NULL, on_event, wire);
    (void)bufferevent_enable(wire->stream, tls != NULL ? EV_READ | EV_WRITE : EV_WRITE);
    if (tls == NULL)
        bufferevent_trigger_event(wire->stream, BEV_EVENT_CONNECTED, BEV_TRIG_DEFER_CALLBACKS);
    return wire;
}

void redis_wire_free(struct redis_wire *wire)
{
    if (wire == NULL)
        return;
    wire->stopped = wire->freed = true;
    wire->busy++;
    events_free(wire->readable);
    if (wire->stream != NULL)
        bufferevent_free(wire->stream);
    wire->readable = NULL;
    wire->stream = NULL;
    while (wire->n > 0) {
        const struct redis_wire_call call = take_call(wire);
        wire->config.on_answer(wire->config.user, &call, NULL);
    }
    wire->busy--;
    redis_wire_release(wire);
}

void redis_wire_stop(struct redis_wire *wire)
{
    wire->stopped = true;
}

uint64_t redis_wire_heard_ms(const struct redis_wire *wire)
{
    return wire->heard_ms;
}

bool redis_wire_opens(const struct redis_wire *wire)
{
    return wire->opens;
}
