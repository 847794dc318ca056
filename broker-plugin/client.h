/* What is remembered of each connection: by the broker's pointer, which is never looked into. The
 * broker tells of ends late, twice, or never (DESIGN), so removal may be repeated, and a pointer
 * that comes again is a new connection. Bounded. One thread. */
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
/* A connection whose token has expired and that is there though it was told of is told of again so
 * much later. */
#define CLIENT_EXPIRED_AGAIN_S 10

struct client_table;

/* There is one for each connected reader: what is small stands together. */
struct client {
    const void *key;
    struct role_facts facts;
    uint64_t receipts; /* bucket (limit.h) of the receipts of refusals that it may yet get */
    uint64_t refusals; /* another, of what may yet be refused before it is ended */
    uint64_t reader_key, address_key;
    struct wire wire;
    uint32_t subscriptions; /* requests so far */
    uint32_t filters;       /* that it subscribed to or unsubscribed from, each a piece of work */
    bool keyed;             /* by what its limits are found is known: from its first reaction on */
    bool address_limited;   /* as in struct admit_wish */
    bool ended : 1;         /* a service that has gone: kept for its will */
    bool unsure : 1;        /* the broker may refuse it yet: it has done nothing so far */
    bool lasting : 1;       /* its session outlives it */
    bool proved;            /* its reader is known by a token: some 150 bytes more */
};

/* NULL for no memory. */
struct client_table *client_table_new(size_t max);
void client_table_free(struct client_table *table); /* NULL is fine */
size_t client_table_count(const struct client_table *table);

/* The client, or NULL. No allocation. */
struct client *client_find(struct client_table *table, const void *key);

/* Begins a connection: whatever was known of `key` is forgotten. NULL where the table is full or
 * memory is short. */
struct client *client_begin(struct client_table *table, const void *key,
                            const struct role_facts *facts);

/* The connection has ended. A reader is forgotten; a service is kept, as `ended`, until
 * CLIENT_ENDED_MAX others ended after it, because the broker asks for the right to publish its will
 * only now. Unknown keys and repeats are fine. */
void client_end(struct client_table *table, const void *key);

/* The same of a reader with a token, who is remembered with it, until it expires or the connection
 * ends. Whoever had the client id before is superseded, unless NULL is returned. */
struct client *client_begin_proved(struct client_table *table, const void *key,
                                   const struct role_facts *facts, const char *client_id,
                                   const struct token *token);

/* Another connection has the client id now, or will at once: the broker ends the one that had it,
 * at its leisure, and a token's expiry must not end the new one in its place. */
void client_supersede(struct client_table *table, const char *client_id);

/* The reader of whom a token told, not NUL-terminated; NULL where the client has none. */
const char *client_reader(const struct client *client, size_t *bytes);

/* Whether the client's token has expired; false where it has none. */
bool client_expired(const struct client *client, uint64_t now_s);

/* Writes the client id of a connection whose token has expired; each is named once, and again
 * CLIENT_EXPIRED_AGAIN_S later where it is there yet. False: there is none. */
bool client_next_expired(struct client_table *table, uint64_t now_s,
                         char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1]);

/* Counts a subscription request. False where the connection had `max` already, or its session has
 * more than `max` filters, `in_session`: one that has `max` may ask for them again. */
bool client_subscribe(struct client *client, uint64_t max, uint64_t in_session);

/* The clients in turns, for ever: the next one, or NULL where there is none. */
struct client *client_next(struct client_table *table);

#endif
