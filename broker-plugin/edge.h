/* Everything that an edge's broker needs to admit reactions, opened from the plugin's options:
 * settings, services, rules, key, spool, clients, limits. Does not depend on the broker. Reads and
 * creates files; one thread. */
#ifndef TALLY_BROKER_PLUGIN_EDGE_H
#define TALLY_BROKER_PLUGIN_EDGE_H

#include "admit.h"
#include "client.h"
#include "refusals.h"
#include "registry_file.h"
#include "role.h"
#include "session.h"
#include "settings.h"
#include "token_keys.h"

#include "core/services.h"
#include "spool/spool_producer.h"

struct edge {
    struct settings settings;
    struct services services;
    struct role_rules rules; /* points into settings, so an edge must not be moved */
    struct admit admit;
    struct spool *spool;
    struct client_table *clients;
    struct registry_file *registry;
    struct limit_table *connections; /* by address; NULL where limits are off, as what admit has of
                                        them */
    struct limit_rate refusals_rate; /* of a connection; where limits are on */
    struct limit_rate signatures_rate; /* of all connections; where limits are on */
    struct session_table *sessions;    /* left behind by readers; NULL where limits are off */
    uint64_t session_expiration_s;     /* from the broker's configuration; 0: none */
    struct refusals *refusals;
    struct token_keys *token_keys; /* NULL where identities names no token */
    struct token_keys_seen token_keys_seen;
    char note[256]; /* findings at the start; empty: nothing to report */
};

/* Call first: parses the options. 0, or -1 with a sentence in `error` that names the option. */
int edge_configure(struct edge *edge, const char *const *names, const char *const *values, size_t n,
                   char *error, size_t error_bytes);

/* Call second: loads the secrets, opens the spool and sets up the limits. 0, or -1 with `error`. */
int edge_open(struct edge *edge, char *error, size_t error_bytes);

/* Whether the token_keys file differs from the one that was last read or tried. */
bool edge_token_keys_changed(struct edge *edge);

/* Reads the token_keys file. 0, or -1 with `error`: the current keys then stay. */
int edge_load_token_keys(struct edge *edge, char *error, size_t error_bytes);

/* For an edge that was zeroed first, however far opening got. Leaves no secret in memory. */
void edge_close(struct edge *edge);

#endif
