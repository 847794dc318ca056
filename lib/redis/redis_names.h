/* Resolves the name of one host without blocking the loop: getaddrinfo runs in a separate thread.
 * So a name means what it means to every other program of the machine (nsswitch.conf, /etc/hosts
 * and resolv.conf as they are now, search domains, the order of addresses). Loop thread only. */
#ifndef TALLY_REDIS_REDIS_NAMES_H
#define TALLY_REDIS_REDIS_NAMES_H

#include <event2/event.h>
#include <netdb.h>

struct redis_names;

/* `found` is the caller's, who calls freeaddrinfo. NULL: there is none, and `why` is the reason. */
typedef void redis_names_cb(void *user, struct addrinfo *found, const char *why);

/* `host` is copied. NULL when out of memory or descriptors. */
struct redis_names *redis_names_new(struct event_base *base, const char *host, redis_names_cb *fn,
                                    void *user);

/* Lookups under way end by themselves, and nobody hears of them. */
void redis_names_free(struct redis_names *names);

/* Calls back once, from the loop. Asks the resolver again if it has not answered for 2 s; the first
 * answer counts. If redis_names_cancel comes before an answer, a later redis_names_ask gets that
 * answer, so a resolver slower than its caller's patience is of use. Returns 0, or -1 if no thread
 * can be started; there is then no call. */
int redis_names_ask(struct redis_names *names);
void redis_names_cancel(struct redis_names *names);

#endif
