/* Connections that the kernel refuses: those of addresses that keep opening more although they have
 * used up their budget. Accepting one and ending it costs the feed more than most requests, so a
 * filter on the listening socket drops their SYN packets. Such a client sees no answer and tries
 * again after a second or more, as TCP does. A part of http_charges. Loop thread only. */
#ifndef TALLY_FEED_HTTP_GATE_H
#define TALLY_FEED_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The feed accepts this many connections of a resting address, which wait. The kernel refuses
 * further ones. */
#define HTTP_GATE_ACCEPTS 64

/* Addresses that the filter holds at a time. Connections of others are accepted as usual. */
#define HTTP_GATE_ADDRESSES 64

struct http_gate;

/* NULL on no memory. */
struct http_gate *http_gate_new(void);
void http_gate_free(struct http_gate *gate); /* NULL is fine */

/* The listening socket, which stays the caller's. Without one, nothing is refused. */
void http_gate_listen(struct http_gate *gate, int fd);

/* A connection of the address with this address_key() was accepted although the address rests. */
void http_gate_accepted(struct http_gate *gate, uint64_t key);

/* Removes the addresses for which `may_connect` returns true: their connections are accepted again.
 * Returns whether any is left. */
bool http_gate_lift(struct http_gate *gate, bool (*may_connect)(void *user, uint64_t key),
                    void *user);

/* Addresses whose connections are refused now. */
size_t http_gate_refused(const struct http_gate *gate);

#endif
