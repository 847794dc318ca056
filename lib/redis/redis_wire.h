/* Commands and answers on an open connection: framing, TLS, and whose turn each answer is. It knows
 * nothing about what they mean. Loop thread only.
 *
 * It may be freed, and commands may be sent, in any of its callbacks. */
#ifndef TALLY_REDIS_REDIS_WIRE_H
#define TALLY_REDIS_REDIS_WIRE_H

#include "redis/redis_tls.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that wait to be sent, the bytes of a partial answer, and the number of answers awaited
 * are bounded. */
#define REDIS_WIRE_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define REDIS_WIRE_CALLS_MAX ((size_t)1 << 20)

struct redis_wire;

/* Who waits for an answer. The wire only keeps it. */
struct redis_wire_call {
    void (*fn)(void *user, const redisReply *reply);
    void *user;
    bool own; /* the link's own question */
};

struct redis_wire_config {
    void (*on_open)(void *user); /* commands can be sent; from the loop */

    /* `call` NULL: nobody waited for this answer. `reply` NULL: the answer will not come. It is
     * valid during the call. */
    void (*on_answer)(void *user, const struct redis_wire_call *call, const redisReply *reply);

    void (*on_end)(void *user, const char *why); /* the connection ended; the owner frees it */
    void *user;
};

/* `fd` is connected, and the wire's from now on, also when it returns NULL (out of memory). `tls`
 * NULL: none; else the server's certificate must be for `host`. */
struct redis_wire *redis_wire_new(struct event_base *base, int fd, struct redis_tls *tls,
                                  const char *host, const struct redis_wire_config *config);

/* Closes it. First calls back every waiting caller with NULL. */
void redis_wire_free(struct redis_wire *wire);

/* `call` NULL: no answer comes to this one, or it comes as a message. Returns 0, or -1 if out of
 * memory or over a bound. */
int redis_wire_send(struct redis_wire *wire, const struct redis_wire_call *call, int argc,
                    const char **argv, const size_t *bytes);

/* No answer that arrives from now on is handed out. */
void redis_wire_stop(struct redis_wire *wire);

/* When anything came last, on the monotonic clock; 0 never. */
uint64_t redis_wire_heard_ms(const struct redis_wire *wire);

/* The TLS handshake is not over. */
bool redis_wire_opens(const struct redis_wire *wire);

#endif
