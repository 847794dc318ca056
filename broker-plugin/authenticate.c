/* Decides at CONNECT, and again at a reload, who may connect and as what. role.c judges, this
 * begins the record and charges what it costs. */
#include "authenticate.h"

#include <string.h>

/* The answer to one connection too many: 2.1 makes it 0x9F on MQTT 5; 2.0 answers AUTH only. */
static int too_many_connections(const struct plugin *plugin)
{
    return plugin->mosquitto_2_1 ? BROKER_ERR_CONNECTION_RATE_EXCEEDED : MOSQ_ERR_AUTH;
}

/* Whether the broker asks because it reloads, and not because the client connects. 2.0 serves its
 * WebSockets after the reload and before the next TICK: an unknown one is a new connection. */
static bool asked_by_reload(const struct plugin *plugin, const struct mosquitto *connection,
                            const struct client *existing)
{
    if (!plugin->mosquitto_2_1 && (existing == NULL || existing->phase == CLIENT_ENDED) &&
        mosquitto_client_protocol(connection) == mp_websockets)
        return false;
    return plugin->reloading;
}

/* Begins the connection of a reader whose password must be a valid token. */
static int begin_by_token(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked,
                          const char *client_id, const struct role_facts *facts)
{
    struct token token;
    struct token_rules rules = {.issuer = plugin->edge.settings.token_issuer,
                                .audience = plugin->edge.settings.token_audience};

    uint64_t now_ns = broker_now_ns();
    const struct limit_rate *rate = &plugin->edge.signatures_rate;
    if (plugin->edge.settings.limits && !limit_left(rate, plugin->signatures, now_ns)) {
        plugin->counts.unchecked++;
        return too_many_connections(plugin);
    }
    uint64_t before = token_keys_checks(plugin->edge.token_keys);
    const char *wrong = token_check(plugin->edge.token_keys, &rules, asked->password,
                                    strnlen(asked->password, TOKEN_MAX_BYTES + 1),
                                    broker_unix_ms() / 1000u, &token);
    plugin->signatures = limit_charged(rate, plugin->signatures,
                                       token_keys_checks(plugin->edge.token_keys) - before, now_ns);
    if (wrong != NULL) {
        plugin->counts.bad_tokens++;
        plugin->counts.bad_token = wrong;
        return MOSQ_ERR_AUTH;
    }
    const struct client *client =
        client_begin_proved(plugin->edge.clients, asked->client, facts, client_id, &token);
    explicit_bzero(&token, sizeof token);
    if (client == NULL) {
        plugin->counts.turned_away++;
        return MOSQ_ERR_AUTH;
    }
    return MOSQ_ERR_SUCCESS;
}

/* Begins the connection of a client that may connect, if nothing else prevents it. */
static int authenticate_begin(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked,
                              const char *client_id, const struct role_facts *facts, bool reload)
{
    /* Signatures are checked last, so that the address limit covers them, and not at a reload: an
     * unknown client is then away, and sends a token when it returns. */
    if (facts->service == NULL && facts->source == 't')
        return reload ? MOSQ_ERR_SUCCESS : begin_by_token(plugin, asked, client_id, facts);
    /* Without a username the broker's own allow_anonymous decides. */
    int answer = asked->username == NULL ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
    /* A client that the broker may still refuse does not own its client id yet. */
    bool unauthenticated = answer == MOSQ_ERR_PLUGIN_DEFER;
    if (!reload && !unauthenticated)
        client_supersede(plugin->edge.clients, client_id);
    /* Some readers begin at their first SUBSCRIBE or PUBLISH instead. At a reload this may be a
     * session whose client is away, and no event would report its end. Where the broker may still
     * refuse, 2.1 reports no end, but does report a beginning. */
    if (facts->service == NULL && (reload || (plugin->mosquitto_2_1 && unauthenticated)))
        return answer;
    struct client *client = client_begin(plugin->edge.clients, asked->client, facts);
    if (client == NULL) {
        plugin->counts.turned_away++;
        return MOSQ_ERR_AUTH;
    }
    if (unauthenticated)
        client->phase = CLIENT_UNAUTHENTICATED;
    return answer;
}

int authenticate_check(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked)
{
    const char *client_id = mosquitto_client_id(asked->client);
    struct charge_session session;
    struct role_facts facts;

    if (client_id == NULL)
        return MOSQ_ERR_PLUGIN_DEFER;
    int unproved = asked->username == NULL ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
    const struct client *existing = client_find(plugin->edge.clients, asked->client);
    bool reload = asked_by_reload(plugin, asked->client, existing);
    if (reload && existing != NULL && existing->phase != CLIENT_ENDED)
        return existing->proved ? MOSQ_ERR_SUCCESS : unproved;
    client_end(plugin->edge.clients, asked->client); /* ends the pointer's previous owner */
    const char *refused = role_connect(&plugin->edge.rules, &plugin->edge.services, client_id,
                                       asked->username, asked->password, &facts);
    /* Others at its address cannot keep out a service with a valid secret; without one, the attempt
     * is charged. At a reload nobody connects. */
    uint64_t now_ns = broker_now_ns();
    bool pays = !reload && (refused != NULL || facts.service == NULL);
    if (pays && !charge_connection(plugin->charge, asked->client, now_ns)) {
        plugin->counts.too_fast++;
        return too_many_connections(plugin);
    }
    if (refused != NULL)
        return MOSQ_ERR_AUTH;
    bool reader = !reload && facts.service == NULL;
    if (reader && !charge_session(plugin->charge, asked, &session, now_ns))
        return too_many_connections(plugin);
    int code = authenticate_begin(plugin, asked, client_id, &facts, reload);
    if (code != MOSQ_ERR_SUCCESS && code != MOSQ_ERR_PLUGIN_DEFER)
        return code;
    if (reader)
        charge_session_begun(plugin->charge, asked->client, &session, code == MOSQ_ERR_PLUGIN_DEFER,
                             now_ns);
    struct client *client = client_find(plugin->edge.clients, asked->client);
    if (client != NULL && client->phase != CLIENT_ENDED && !reload)
        charge_begin(plugin->charge, client, asked->client, asked->password);
    return code;
}

void authenticate_end(struct plugin *plugin, const struct mosquitto *connection)
{
    charge_session_left(plugin->charge, connection, broker_now_ns());
    client_end(plugin->edge.clients, connection);
}
