/* Opens connections to one host, one at a time: resolves its name, and tries its addresses in turn
 * until one accepts. An address, and the path of a Unix socket, are never resolved. Loop thread
 * only. */
#ifndef TALLY_REDIS_REDIS_DIAL_H
#define TALLY_REDIS_REDIS_DIAL_H

#include <event2/event.h>

struct redis_dial;

/* `fd` is connected, non-blocking, and the callee's; or it is -1, and `why` is the reason. */
typedef void redis_dial_cb(void *user, int fd, const char *why);

/* `host`: a name, an address, or a path that begins with /; copied. NULL when out of memory or
 * descriptors. */
struct redis_dial *redis_dial_new(struct event_base *base, const char *host, int port,
                                  redis_dial_cb *fn, void *user);
void redis_dial_free(struct redis_dial *dial);

/* Calls back once, from the loop or before it returns. Not while one is being opened. */
void redis_dial_start(struct redis_dial *dial);

/* Ends what redis_dial_start began; there is no call. Fine if nothing is under way. */
void redis_dial_cancel(struct redis_dial *dial);

/* Begins with another address of the name the next time: the one that was connected to is not the
 * right server, or did not answer. */
void redis_dial_turn(struct redis_dial *dial);

/* What redis_dial_start is waiting for, in words: "the name to be resolved" … NULL: nothing. */
const char *redis_dial_awaits(const struct redis_dial *dial);

#endif
