/* Decides whom a message is delivered to, and who may publish and subscribe where. role.c judges,
 * this charges what it costs. */
#include "authorize.h"

#include "identity.h"
#include "react.h"

#include "core/article.h"

#include <string.h>

void authorize_count_unmatched(struct plugin *plugin)
{
    spool_producer_count_refused(plugin->edge.spool, REASON_FORBIDDEN);
    plugin->unmatched = NULL;
}

static int code_of(enum role_answer answer)
{
    return answer == ROLE_ALLOW   ? MOSQ_ERR_SUCCESS
           : answer == ROLE_DEFER ? MOSQ_ERR_PLUGIN_DEFER
                                  : MOSQ_ERR_ACL_DENIED;
}

/* This many received bytes belong to a reported packet. */
static struct client *authorize_explain(struct plugin *plugin, const struct mosquitto *connection,
                                        size_t bytes)
{
    struct client *client = client_find(plugin->edge.clients, connection);

    if (client != NULL)
        wire_explain(&client->wire, bytes);
    return client;
}

static int may_read(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    struct role_facts unauthenticated;
    const char *rest;
    enum role_area area = role_area(&plugin->edge.rules, asked->topic, &rest);
    if (asked->qos > 0)
        authorize_explain(plugin, asked->client, WIRE_ACKNOWLEDGEMENTS_BYTES);
    if (role_read_public(area, rest))
        return MOSQ_ERR_SUCCESS;
    const struct role_facts *facts = identity_facts(
        plugin, client_find(plugin->edge.clients, asked->client), asked->client, &unauthenticated);
    return code_of(role_read(facts, mosquitto_client_id(asked->client), asked->topic, area, rest));
}

/* Others decide, and do not report a denial. So the message is charged here, and MESSAGE gives the
 * token back. */
static int may_write_elsewhere(struct plugin *plugin, struct client *client,
                               const struct mosquitto *connection)
{
    if (client == NULL)
        return MOSQ_ERR_PLUGIN_DEFER;
    plugin->foreign = connection;
    plugin->refusals_before = client->refusals;
    return charge_waste(plugin->charge, client, connection, FLOOD_PUBLISH, 1, broker_now_ns())
               ? broker_ends(plugin->mosquitto_2_1)
               : MOSQ_ERR_PLUGIN_DEFER;
}

static int may_write(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    struct role_facts unauthenticated;
    const char *rest;
    enum role_area area = role_area(&plugin->edge.rules, asked->topic, &rest);
    struct client *client = authorize_explain(
        plugin, asked->client, strlen(asked->topic) + asked->payloadlen + WIRE_PACKET_BYTES);
    if (area == AREA_FOREIGN)
        return may_write_elsewhere(plugin, client, asked->client);
    enum role_answer answer = role_write(
        identity_facts_of_writer(plugin, client, asked->client, &unauthenticated), area, rest);
    /* A retained will would be stored permanently, because MESSAGE does not see it. So retained
     * messages are refused here. */
    if (area == AREA_REACTIONS && asked->retain)
        answer = ROLE_DENY;
    if (answer == ROLE_DENY) {
        react_count_forbidden(plugin, area == AREA_REACTIONS ? rest : NULL);
        if (charge_waste(plugin->charge, client, asked->client,
                         area == AREA_REACTIONS ? FLOOD_REACTIONS : FLOOD_PUBLISH, 1,
                         broker_now_ns()))
            return broker_ends(plugin->mosquitto_2_1);
    } else if (area == AREA_REACTIONS)
        plugin->unmatched = asked->client;
    return code_of(answer);
}

/* A client that subscribes to an article's total or state is viewing that article. */
static void note_view(struct plugin *plugin, const struct client *client,
                      const struct mosquitto_evt_acl_check *asked)
{
    const char *rest, *name;
    size_t bytes;
    uint64_t reader_key = 0, address_key;
    enum role_area area = role_area(&plugin->edge.rules, asked->topic, &rest);

    if ((area != AREA_TOTALS && area != AREA_ARTICLES) || rest == NULL ||
        client->facts.service != NULL || !article_valid(rest, strlen(rest)))
        return;
    bool limited = charge_address(plugin->charge, asked->client, &address_key);
    name = identity_reader(client, asked->client, mosquitto_client_id(asked->client), &bytes);
    if (!limited && client->facts.source != 0 && name != NULL && bytes <= READER_NAME_MAX_BYTES)
        reader_key = admit_reader_key(&plugin->edge.admit, client->facts.source, name, bytes);
    if (limited || reader_key != 0) {
        struct registry_actor who = admit_actor(limited, address_key, reader_key);
        registry_viewed(plugin->edge.admit.registry, rest, strlen(rest), &who);
    }
}

static int may_subscribe(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    struct client *client = identity_connected(plugin, asked->client);
    if (client == NULL)
        return MOSQ_ERR_ACL_DENIED;
    if (housekeeping_ending(plugin->housekeeping) || charge_ending(plugin->charge))
        return code_of(role_subscribe(&plugin->edge.rules, &client->facts,
                                      mosquitto_client_id(asked->client), asked->topic));
    uint64_t now_ns = broker_now_ns();
    wire_explain(&client->wire, strlen(asked->topic) + WIRE_PACKET_BYTES);
    /* 2.0.11 does not count a session's shared subscriptions, and no reader needs to keep them. */
    int in_session = mosquitto_client_sub_count(asked->client);
    bool room = !role_subscriptions_bounded(&client->facts) ||
                (client_subscribe(client, plugin->edge.settings.max_subscriptions,
                                  in_session < 0 ? 0 : (uint64_t)in_session) &&
                 !(client->lasting && strncmp(asked->topic, "$share/", 7) == 0));
    enum role_answer answer = room
                                  ? role_subscribe(&plugin->edge.rules, &client->facts,
                                                   mosquitto_client_id(asked->client), asked->topic)
                                  : ROLE_DENY;
    if (answer == ROLE_ALLOW)
        note_view(plugin, client, asked);
    bool wildcard = answer == ROLE_ALLOW && strpbrk(asked->topic, "+#") != NULL;
    bool ends = charge_filter(plugin->charge, client, asked->client, wildcard, now_ns);
    if (answer != ROLE_ALLOW)
        ends = charge_waste(plugin->charge, client, asked->client, FLOOD_SUBSCRIBE, 1, now_ns);
    return ends ? broker_ends(plugin->mosquitto_2_1) : code_of(answer);
}

/* Takes nothing from anyone, but costs work. */
static int may_unsubscribe(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    uint64_t now_ns = broker_now_ns();
    struct client *client =
        authorize_explain(plugin, asked->client, strlen(asked->topic) + WIRE_PACKET_BYTES);

    charge_filter(plugin->charge, client, asked->client, false, now_ns);
    return charge_waste(plugin->charge, client, asked->client, FLOOD_SUBSCRIBE, 1, now_ns)
               ? broker_ends(plugin->mosquitto_2_1)
               : MOSQ_ERR_SUCCESS;
}

int authorize_check(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    authorize_settle(plugin);
    switch (asked->access) {
    case MOSQ_ACL_READ:
        return may_read(plugin, asked);
    case MOSQ_ACL_WRITE:
        return may_write(plugin, asked);
    case MOSQ_ACL_SUBSCRIBE:
        return may_subscribe(plugin, asked);
    case MOSQ_ACL_UNSUBSCRIBE:
        return may_unsubscribe(plugin, asked);
    default:
        return MOSQ_ERR_PLUGIN_DEFER;
    }
}

void authorize_foreign_allowed(struct plugin *plugin, const struct mosquitto *connection)
{
    struct client *client = client_find(plugin->edge.clients, connection);

    if (plugin->foreign == connection && client != NULL)
        client->refusals = plugin->refusals_before;
    plugin->foreign = NULL;
}
