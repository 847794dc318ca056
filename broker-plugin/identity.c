/* Who a connection is. The broker names connections by pointer; a record is found or begun for it.
 */
#include "identity.h"

#include <string.h>

const struct role_facts *identity_facts(struct plugin *plugin, const struct client *client,
                                        const struct mosquitto *connection,
                                        struct role_facts *unauthenticated)
{
    if (client != NULL && client->phase != CLIENT_ENDED)
        return &client->facts;
    role_unauthenticated(&plugin->edge.rules, &plugin->edge.services,
                         mosquitto_client_id(connection), mosquitto_client_username(connection),
                         unauthenticated);
    return unauthenticated;
}

const struct role_facts *identity_facts_of_writer(struct plugin *plugin,
                                                  const struct client *client,
                                                  const struct mosquitto *connection,
                                                  struct role_facts *unauthenticated)
{
    if (client == NULL)
        return identity_facts(plugin, NULL, connection, unauthenticated);
    if (client->phase != CLIENT_ENDED)
        return &client->facts;
    const char *username = mosquitto_client_username(connection);
    /* The pointer may have been reused. */
    return username != NULL && strcmp(username, client->facts.service->name) == 0
               ? &client->facts
               : identity_facts(plugin, NULL, connection, unauthenticated);
}

struct client *identity_connected(struct plugin *plugin, const struct mosquitto *connection)
{
    struct role_facts unauthenticated;
    struct client *client = client_find(plugin->edge.clients, connection);
    if (client != NULL && client->phase == CLIENT_CONNECTED)
        return client;
    const char *client_id = mosquitto_client_id(connection);
    if (client_id != NULL)
        client_supersede(plugin->edge.clients, client_id);
    if (client != NULL && client->phase != CLIENT_ENDED) {
        client->phase = CLIENT_CONNECTED;
        charge_session_over(plugin->charge, connection);
        return client;
    }
    role_unauthenticated(&plugin->edge.rules, &plugin->edge.services, client_id,
                         mosquitto_client_username(connection), &unauthenticated);
    client = client_begin(plugin->edge.clients, connection, &unauthenticated);
    if (client == NULL) {
        plugin->counts.turned_away++;
        return NULL;
    }
    charge_begin(plugin->charge, client, connection, NULL);
    charge_session_over(plugin->charge, connection);
    return client;
}

const char *identity_reader(const struct client *client, const struct mosquitto *connection,
                            const char *client_id, size_t *bytes)
{
    if (client->facts.source == 't')
        return client_reader(client, bytes); /* NULL: a gateway */
    const char *name =
        client->facts.source == 'u' ? mosquitto_client_username(connection) : client_id;
    *bytes = name == NULL ? 0 : strlen(name);
    return name;
}
