/* Who a connection is: its facts, its record, and its reader's name. Depends on the broker. Its one
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_IDENTITY_H
#define TALLY_BROKER_PLUGIN_IDENTITY_H

#include "plugin.h"

#include <stddef.h>

/* A client's facts, without storing anything: those of `client`, the connection's record, or
 * `unauthenticated`, which is filled: there is no record (NULL), or its client is away. */
const struct role_facts *identity_facts(struct plugin *plugin, const struct client *client,
                                        const struct mosquitto *connection,
                                        struct role_facts *unauthenticated);

/* The same for the right to publish, which the broker also asks for a will, after the connection
 * has ended. */
const struct role_facts *identity_facts_of_writer(struct plugin *plugin,
                                                  const struct client *client,
                                                  const struct mosquitto *connection,
                                                  struct role_facts *unauthenticated);

/* The record of a client that is certainly connected, begun if there is none. NULL if there is no
 * space: that is counted. */
struct client *identity_connected(struct plugin *plugin, const struct mosquitto *connection);

/* The name by which its source identifies the client, not NUL-terminated; NULL if it has none.
 * `client_id` is the connection's, or NULL. */
const char *identity_reader(const struct client *client, const struct mosquitto *connection,
                            const char *client_id, size_t *bytes);

#endif
