/* One MQTT connection over TCP or WebSocket with a bounded buffer each way: blocking until it is
 * accepted, without blocking after that. One thread. */
#ifndef TALLY_BENCH_CONNECTION_H
#define TALLY_BENCH_CONNECTION_H

#include "core/error.h"
#include "wire.h"

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#define CONNECTION_WAIT_S 10 /* for TCP's and the broker's consent, each */

struct connection;

/* Addresses to connect to, for freeaddrinfo. -1 with a sentence in `error` that names option host.
 */
int connection_resolve(const char *host, unsigned port, struct addrinfo **out, struct error *error);

/* Connects to the first of `addresses` and sends CONNECT. NULL with a sentence in `error`. */
struct connection *connection_open(const struct addrinfo *addresses, const struct wire_login *login,
                                   size_t out_bytes, size_t in_bytes, struct error *error);

/* The same for WebSocket: connects and asks for it. connection_upgraded waits for the server's
 * consent and sends CONNECT (-1 with a sentence in `error`). */
struct connection *connection_open_websocket(const struct addrinfo *addresses, const char *host,
                                             size_t out_bytes, size_t in_bytes,
                                             struct error *error);
int connection_upgraded(struct connection *connection, const struct wire_login *login,
                        struct error *error);

/* Waits for CONNACK, and sets *receive_maximum. -1 with a sentence in `error`; 0 else: from then on
 * nothing blocks. */
int connection_accepted(struct connection *connection, unsigned *receive_maximum,
                        struct error *error);

/* Closes it, after DISCONNECT where that can be sent at once. */
void connection_free(struct connection *connection);

int connection_socket(const struct connection *connection);

/* Room for the next packet: `*room` bytes at the address returned; connection_put says how many of
 * them were written. */
unsigned char *connection_room(struct connection *connection, size_t *room);
void connection_put(struct connection *connection, size_t bytes);

/* Bytes that were put and not sent. */
size_t connection_waiting(const struct connection *connection);

/* Sends the buffer. 1: all of it; 0: the socket is full; -1: the connection is broken. */
int connection_flush(struct connection *connection);

/* From now on polling reports input only after this many bytes since the last whole packet, so
 * that many small answers are read at once. At least this many must be certain to arrive. 1: all of
 * it.
 */
void connection_await(struct connection *connection, size_t bytes);

/* Reads once and calls `fn` for each whole packet. -1 if the connection is broken or
 * ended, sent a packet that is malformed or larger than its buffer, or if `fn` did not return
 * 0; else 0. */
typedef int (*connection_fn)(void *user, const struct wire_frame *frame);
int connection_read(struct connection *connection, connection_fn fn, void *user);

#endif
