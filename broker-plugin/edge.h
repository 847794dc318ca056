/* All that an edge's broker needs to admit reactions, opened from the plugin's options: settings,
 * services, rules, key, spool, clients, limits. Knows no broker. Reads and makes files; one thread.
 */
#ifndef TALLY_BROKER_PLUGIN_EDGE_H
#define TALLY_BROKER_PLUGIN_EDGE_H

#include "admit.h"
#include "client.h"
#include "known_file.h"
#include "refusals.h"
#include "role.h"
#include "session.h"
#include "settings.h"
#include "token_keys.h"

#include "core/services.h"
#include "spool/spool_file.h"

struct edge {
    struct settings settings;
    struct services services;
    struct role_rules rules; /* points into settings: an edge is not moved */
    struct admit admit;
    struct spool_dir *spool;
    struct client_table *clients;
    struct known_file *known;
    struct limit_table *connections; /* by address; NULL where limits are off, as what admit has of
                                        them */
    struct limit_rate refusals_rate; /* of a connection; where limits are on */
    struct limit_rate signatures_rate; /* of all connections; likewise */
    struct session_table *sessions;    /* that readers leave behind; NULL where limits are off */
    uint64_t session_expiration_s;     /* of the broker's configuration; 0: none */
    struct refusals *refusals;
    struct token_keys *token_keys; /* NULL where identities names no token */
    struct token_keys_seen token_keys_seen;
    char note[256]; /* of what was found at the start; empty: nothing to say */
};

/* First: understands the options. 0, or -1 with a sentence in `error` that names the option. */
int edge_configure(struct edge *edge, const char *const *names, const char *const *values, size_t n,
                   char *error, size_t error_bytes);

/* Then: loads the secrets, opens the spool and sets up the limits. 0, or -1 with `error`. */
int edge_open(struct edge *edge, char *error, size_t error_bytes);

/* Whether the file of token_keys is another than was read, or tried, last. */
bool edge_token_keys_changed(struct edge *edge);

/* Reads the file of token_keys. 0, or -1 with `error`: then the keys that there were stay. */
int edge_load_token_keys(struct edge *edge, char *error, size_t error_bytes);

/* Of an edge that was zeroed at first, however far it came. Leaves no secret in memory. */
void edge_close(struct edge *edge);

#endif
