/* Who causes a cost pays for it: what the address of a client may yet do, what a connection may yet
 * have refused before it is ended, and what comes over it that no event tells of. Knows the broker.
 * Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_CHARGE_H
#define TALLY_BROKER_PLUGIN_CHARGE_H

#include "broker.h"
#include "edge.h"
#include "housekeeping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARGE_LOOK_MS 20 /* charge_look is to be called each */

struct charge;

/* Of an edge that is open; it and the counts stay the caller's. NULL for no memory. */
struct charge *charge_new(struct edge *edge, struct housekeeping_counts *counts);
void charge_free(struct charge *charge); /* NULL is fine */

/* The key of the limits of a client's address. False: it has none, as it comes from a listed proxy
 * or over no network. */
bool charge_address(const struct charge *charge, const struct mosquitto *connection, uint64_t *key);

/* Takes one of the connections that the address of a client may yet make. False where it may make
 * none. */
bool charge_connection(struct charge *charge, const struct mosquitto *connection, uint64_t now_ns);

/* Charges a reader's connection for `n` things that cost the broker and achieve nothing, of a kind.
 * True where it is to be ended: that is counted, and its address pays for so many connections, or
 * owes them, that coming back at once gains little. Services are trusted; NULL is fine. */
bool charge_waste(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  enum flood flood, uint32_t n, uint64_t now_ns);

/* A reader's connection asked for a filter, or to be rid of one: work for which its address pays,
 * beyond what a page needs. `wildcard`: retained messages of many topics may be sent for it. True
 * where the connection is to be ended. */
bool charge_filter(struct charge *charge, struct client *client, const struct mosquitto *connection,
                   bool wildcard, uint64_t now_ns);

/* --- what no event tells of --- */

/* A connection begins: the broker is working at its CONNECT, or has just done so. */
void charge_begin(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  const char *password);

/* Looks at some connections, and ends those that flood. */
void charge_look(struct charge *charge, uint64_t now_ns);

/* Whether a connection is being ended in this moment: then the broker asks again for its filters.
 */
bool charge_ending(const struct charge *charge);

/* --- sessions --- */

/* What a connection that begins will leave behind. */
struct charge_session {
    bool counted; /* its address has a bound */
    bool lasts;
    bool clean; /* whatever session there is ends */
    uint64_t id, address;
    uint32_t lifetime_s;
};

/* Finds that out. False where the address may have no more sessions: that is counted. */
bool charge_session(struct charge *charge, const struct mosquitto_evt_basic_auth *asked,
                    struct charge_session *session, uint64_t now_ns);

/* The connection has begun. `unsure`: the broker may refuse it yet. */
void charge_session_begun(struct charge *charge, const struct mosquitto *connection,
                          const struct charge_session *session, bool unsure, uint64_t now_ns);

/* A connection is one for sure: where it begins clean, a session of another's is over. */
void charge_session_over(struct charge *charge, const struct mosquitto *connection);

/* A connection has ended. */
void charge_session_left(struct charge *charge, const struct mosquitto *connection,
                         uint64_t now_ns);

#endif
