/* Resolves the name of one host without blocking the loop: getaddrinfo runs in a separate thread.
 * So a name means what it means to every other program of the machine (nsswitch.conf, /etc/hosts
 * and resolv.conf as they are now, search domains, the order of addresses). Loop thread only. */
#ifndef TALLY_DAEMON_NAMES_H
#define TALLY_DAEMON_NAMES_H

#include <event2/event.h>
#include <netdb.h>
#include <stdbool.h>

struct names;

/* Whether `host` is a numeric address, which needs no lookup. Any thread. */
bool names_is_address(const char *host);

/* `found` is the caller's, who calls freeaddrinfo. NULL: there is none, and `why` is the reason. */
typedef void names_cb(void *user, struct addrinfo *found, const char *why);

/* `host` is copied. NULL when out of memory or descriptors. */
struct names *names_new(struct event_base *base, const char *host, names_cb *fn, void *user);

/* Lookups under way end by themselves, and nobody hears of them. */
void names_free(struct names *names);

/* Calls back once, from the loop. Asks the resolver again if it has not answered for 2 s; the first
 * answer counts. If names_cancel comes before an answer, a later names_ask gets that
 * answer, so a resolver slower than its caller's patience is of use. Returns 0, or -1 if no thread
 * can be started; there is then no call. */
int names_ask(struct names *names);
void names_cancel(struct names *names);

#endif
