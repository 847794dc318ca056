/* Charges each cost to the client that causes it: what an address may still do, how many refusals a
 * connection has left before it is ended, and traffic that no event reports. Depends on the broker.
 * Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_CHARGE_H
#define TALLY_BROKER_PLUGIN_CHARGE_H

#include "broker.h"
#include "edge.h"
#include "housekeeping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARGE_LOOK_MS 20 /* call charge_look this often */

struct charge;

/* For an open edge; the caller keeps it and the counts. `mosquitto_2_1`: the broker is 2.1. NULL if
 * memory is short. */
struct charge *charge_new(struct edge *edge, struct housekeeping_counts *counts,
                          bool mosquitto_2_1);
void charge_free(struct charge *charge); /* NULL is fine */

/* The key of the limits of a client's address. False: there is none, because it comes from a listed
 * proxy or not over a network. */
bool charge_address(const struct charge *charge, const struct mosquitto *connection, uint64_t *key);

/* Takes one of the connections that a client's address may still make. False if none is left. */
bool charge_connection(struct charge *charge, const struct mosquitto *connection, uint64_t now_ns);

/* Charges a reader's connection for `n` packets of one kind that cost the broker and achieve
 * nothing. Returns true if the connection must be ended. That is counted, and its address is
 * charged, into debt if necessary, so many connections that reconnecting at once gains little.
 * Services are trusted; NULL is fine. */
bool charge_waste(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  enum flood flood, uint32_t n, uint64_t now_ns);

/* A reader's connection subscribed or unsubscribed a filter. Its address pays for that work beyond
 * what a page needs. `wildcard`: the broker may send it retained messages of many topics. Returns
 * true if the connection must be ended. */
bool charge_filter(struct charge *charge, struct client *client, const struct mosquitto *connection,
                   bool wildcard, uint64_t now_ns);

/* --- traffic that no event reports --- */

/* A connection begins: the broker is processing its CONNECT, or has just done so. */
void charge_begin(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  const char *password);

/* Checks some connections, and ends those that flood. */
void charge_look(struct charge *charge, uint64_t now_ns);

/* Whether a connection is being ended right now: then the broker asks again for its filters. */
bool charge_ending(const struct charge *charge);

/* --- sessions --- */

/* The session that a new connection will leave behind. */
struct charge_session {
    bool counted; /* its address has a limit */
    bool lasts;
    bool clean; /* any existing session ends */
    uint64_t id, address;
    uint32_t lifetime_s;
};

/* Fills `session`. False if the address may have no more sessions: that is counted. */
bool charge_session(struct charge *charge, const struct mosquitto_evt_basic_auth *asked,
                    struct charge_session *session, uint64_t now_ns);

/* The connection has begun. `unauthenticated`: the broker may still refuse it. */
void charge_session_begun(struct charge *charge, const struct mosquitto *connection,
                          const struct charge_session *session, bool unauthenticated,
                          uint64_t now_ns);

/* The connection is now certain: if it begins clean, the session that had its id is over. */
void charge_session_over(struct charge *charge, const struct mosquitto *connection);

/* A connection has ended. */
void charge_session_left(struct charge *charge, const struct mosquitto *connection,
                         uint64_t now_ns);

#endif
