/* The record of each connection, keyed by the broker's pointer, which is never dereferenced. The
 * broker reports ends late, twice, or never (DESIGN). So removal may be repeated, and a pointer
 * that appears again is a new connection. Bounded. One thread. */
#ifndef TALLY_BROKER_PLUGIN_CLIENT_H
#define TALLY_BROKER_PLUGIN_CLIENT_H

#include "role.h"
#include "token.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_MAX 1048576  /* 160 bytes each, of which malloc and uthash take 64 */
#define CLIENT_ENDED_MAX 64 /* services whose will may still come */
/* If a connection with an expired token is still there after it was reported, it is reported again
 * after this time. */
#define CLIENT_EXPIRED_AGAIN_S 10

struct client_table;

/* The kind of client that a record describes. */
enum client_phase {
    CLIENT_CONNECTED,
    CLIENT_UNAUTHENTICATED, /* the broker may still refuse it: it has done nothing so far */
    CLIENT_ENDED,           /* a service that has gone: kept for its will */
};

/* One per connected reader, so small fields are packed together. */
struct client {
    const void *key;
    struct role_facts facts;
    uint64_t receipts; /* bucket (limit.h) of refusal receipts it may still get */
    uint64_t refusals; /* bucket of refusals left before it is ended */
    uint64_t reader_key, address_key;
    struct wire wire;
    uint32_t subscriptions; /* requests so far */
    uint32_t filters;       /* subscribed or unsubscribed, each a piece of work */
    bool keyed;             /* the keys of its limits are known: from its first reaction on */
    bool address_limited;   /* as in struct admit_request */
    enum client_phase phase : 2;
    bool lasting : 1; /* its session outlives it */
    bool proved;      /* a token identifies its reader: some 150 bytes more */
};

/* NULL if memory is short. */
struct client_table *client_table_new(size_t max);
void client_table_free(struct client_table *table); /* NULL is fine */
size_t client_table_count(const struct client_table *table);

/* The client, or NULL. No allocation. */
struct client *client_find(struct client_table *table, const void *key);

/* Begins a connection and forgets whatever was known of `key`. NULL if the table is full or memory
 * is short. */
struct client *client_begin(struct client_table *table, const void *key,
                            const struct role_facts *facts);

/* The connection has ended. A reader is forgotten. A service is kept, as CLIENT_ENDED, until
 * CLIENT_ENDED_MAX others have ended after it, because the broker asks only now for the right to
 * publish its will. Unknown keys and repeats are fine. */
void client_end(struct client_table *table, const void *key);

/* Begins the connection of a reader with a token. The reader is stored with it until the token
 * expires or the connection ends. The previous owner of the client id is superseded, unless NULL is
 * returned. */
struct client *client_begin_proved(struct client_table *table, const void *key,
                                   const struct role_facts *facts, const char *client_id,
                                   const struct token *token);

/* Another connection has the client id now, or will immediately. The broker ends the previous one
 * in its own time, and the expiry of that one's token must not end the new connection instead. */
void client_supersede(struct client_table *table, const char *client_id);

/* The reader that a token named, not NUL-terminated; NULL if the client has none. */
const char *client_reader(const struct client *client, size_t *bytes);

/* Whether the client's token has expired; false if it has none. */
bool client_expired(const struct client *client, uint64_t now_s);

/* Writes the client id of a connection whose token has expired. Each is returned once, and again
 * CLIENT_EXPIRED_AGAIN_S later if it is still there. False: there is none. */
bool client_next_expired(struct client_table *table, uint64_t now_s,
                         char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1]);

/* Counts a subscription request. False if the connection already had `max`, or its session has more
 * than `max` filters, `in_session`: a session that has exactly `max` may ask for them again. */
bool client_subscribe(struct client *client, uint64_t max, uint64_t in_session);

/* Cycles through the clients: returns the next one, or NULL if there is none. */
struct client *client_next(struct client_table *table);

#endif
