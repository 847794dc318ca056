/* The adapter to Mosquitto: translates its events and return codes, and holds the path of a
 * reaction. role.c and admit.c make the decisions. The broker behavior it relies on was read in the
 * sources of 2.0.11, 2.0.21 and 2.1.2: DESIGN, "What the broker does". All on the broker's one
 * thread. */
#include "broker.h"
#include "charge.h"
#include "edge.h"
#include "housekeeping.h"
#include "property.h"
#include "receipt.h"
#include "startup.h"

#include "core/article.h"
#include "core/article_state.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef MOSQUITTO_2_1
#define TOO_MANY_CONNECTIONS MOSQ_ERR_CONNECTION_RATE_EXCEEDED /* CONNACK 0x9F on MQTT 5 */
#else
#define TOO_MANY_CONNECTIONS                                                                       \
    MOSQ_ERR_AUTH /* of the codes of 2.0 that are answered, the only one                           \
                   */
#endif

#define PLUGIN_VERSION 5
#define ERROR_MAX_BYTES 1024

struct plugin {
    mosquitto_plugin_id_t *id;
    struct edge edge;
    const struct mosquitto *unmatched; /* may write to reactions/, and MESSAGE has not come yet */
    /* The last PUBLISH outside Tally stays charged until MESSAGE shows that it was allowed. */
    const struct mosquitto *foreign;
    uint64_t refusals_before; /* its client's bucket */
    bool reloading;           /* until TICK: BASIC_AUTH comes for existing sessions */
    bool tells_connect;       /* 2.1: MOSQ_EVT_CONNECT comes */
    uint64_t signatures;      /* the bucket that limits signature checks */
    uint64_t next_tend_ms;
    uint64_t next_look_ms;
    struct charge *charge;
    struct housekeeping *housekeeping;
    struct housekeeping_counts counts;
};

/* --- time --- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now); /* of the vDSO: no system call */
    return (uint64_t)now.tv_sec * LIMIT_SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t clock_ms(clockid_t clock)
{
    return clock_ns(clock) / 1000000u;
}

/* --- clients --- */

/* A client's facts where nothing is to be stored: a session whose client is away, or an
 * unauthenticated one. */
static const struct role_facts *facts_of(struct plugin *plugin, const struct mosquitto *client,
                                         struct role_facts *unauthenticated)
{
    const struct client *known = client_find(plugin->edge.clients, client);
    if (known != NULL && !known->ended)
        return &known->facts;
    role_unauthenticated(&plugin->edge.rules, &plugin->edge.services, mosquitto_client_id(client),
                         mosquitto_client_username(client), unauthenticated);
    return unauthenticated;
}

/* The same for the right to publish. The broker also asks for it for a will, after the connection
 * has ended. The name is compared, because the pointer may have been reused. */
static const struct role_facts *facts_of_writer(struct plugin *plugin,
                                                const struct mosquitto *client,
                                                struct role_facts *unauthenticated)
{
    const struct client *known = client_find(plugin->edge.clients, client);
    if (known != NULL && known->ended) {
        const char *username = mosquitto_client_username(client);
        if (username != NULL && strcmp(username, known->facts.service->name) == 0)
            return &known->facts;
    }
    return facts_of(plugin, client, unauthenticated);
}

/* A client that is certainly connected, and so has its client id. NULL if there is no space. */
static struct client *connected(struct plugin *plugin, const struct mosquitto *client)
{
    struct role_facts unauthenticated;
    const char *client_id = mosquitto_client_id(client);
    struct client *known = client_find(plugin->edge.clients, client);
    if (known != NULL && !known->ended && !known->unsure)
        return known;
    if (client_id != NULL)
        client_supersede(plugin->edge.clients, client_id);
    if (known != NULL && !known->ended) {
        known->unsure = false;
        charge_session_over(plugin->charge, client);
        return known;
    }
    role_unauthenticated(&plugin->edge.rules, &plugin->edge.services, client_id,
                         mosquitto_client_username(client), &unauthenticated);
    known = client_begin(plugin->edge.clients, client, &unauthenticated);
    if (known == NULL) {
        plugin->counts.turned_away++;
        return NULL;
    }
    charge_begin(plugin->charge, known, client, NULL);
    charge_session_over(plugin->charge, client);
    return known;
}

/* A right to write to reactions/ that no MESSAGE followed was asked for a will. The will is routed,
 * to nobody, and counted as refused. */
static void settle_unmatched(struct plugin *plugin)
{
    if (plugin->unmatched != NULL)
        spool_dir_count_refused(plugin->edge.spool, REASON_FORBIDDEN);
    plugin->unmatched = NULL;
}

/* Whether the broker asks because it reloads, and not because the client connects. 2.0 serves its
 * WebSockets after the reload and before the next TICK: an unknown one is a new connection. */
static bool asked_by_reload(const struct plugin *plugin, const struct mosquitto *connection,
                            const struct client *known)
{
#ifndef MOSQUITTO_2_1
    if ((known == NULL || known->ended) && mosquitto_client_protocol(connection) == mp_websockets)
        return false;
#else
    (void)connection;
    (void)known;
#endif
    return plugin->reloading;
}

/* Begins the connection of a reader whose password must be a valid token. */
static int begin_by_token(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked,
                          const char *client_id, const struct role_facts *facts)
{
    struct token token;
    struct token_rules rules = {.issuer = plugin->edge.settings.token_issuer,
                                .audience = plugin->edge.settings.token_audience};

    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    const struct limit_rate *rate = &plugin->edge.signatures_rate;
    if (plugin->edge.settings.limits && !limit_left(rate, plugin->signatures, now_ns)) {
        plugin->counts.unchecked++;
        return TOO_MANY_CONNECTIONS;
    }
    uint64_t before = token_keys_checks(plugin->edge.token_keys);
    const char *wrong = token_check(plugin->edge.token_keys, &rules, asked->password,
                                    strnlen(asked->password, TOKEN_MAX_BYTES + 1),
                                    clock_ms(CLOCK_REALTIME) / 1000u, &token);
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
static int begin(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked,
                 const char *client_id, const struct role_facts *facts, bool reload)
{
    /* Signatures are checked last, so that the address limit covers them, and not at a reload: an
     * unknown client is then away, and sends a token when it returns. */
    if (facts->service == NULL && facts->source == 't')
        return reload ? MOSQ_ERR_SUCCESS : begin_by_token(plugin, asked, client_id, facts);
    /* Without a username the broker's own allow_anonymous decides. */
    int answer = asked->username == NULL ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
    /* A client that the broker may still refuse does not own its client id yet. */
    bool unsure = answer == MOSQ_ERR_PLUGIN_DEFER;
    if (!reload && !unsure)
        client_supersede(plugin->edge.clients, client_id);
    /* Some readers begin at their first SUBSCRIBE or PUBLISH instead. At a reload this may be a
     * session whose client is away, and no event would report its end. Where the broker may still
     * refuse, 2.1 reports no end, but does report a beginning. */
    if (facts->service == NULL && (reload || (plugin->tells_connect && unsure)))
        return answer;
    struct client *client = client_begin(plugin->edge.clients, asked->client, facts);
    if (client == NULL) {
        plugin->counts.turned_away++;
        return MOSQ_ERR_AUTH;
    }
    client->unsure = unsure;
    return answer;
}

static int on_basic_auth(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    struct mosquitto_evt_basic_auth *asked = data;
    const char *client_id = mosquitto_client_id(asked->client);
    struct charge_session session;
    struct role_facts facts;

    (void)event;
    settle_unmatched(plugin);
    if (client_id == NULL)
        return MOSQ_ERR_PLUGIN_DEFER;
    int unproved = asked->username == NULL ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
    const struct client *known = client_find(plugin->edge.clients, asked->client);
    bool reload = asked_by_reload(plugin, asked->client, known);
    if (reload && known != NULL && !known->ended)
        return known->proved ? MOSQ_ERR_SUCCESS : unproved;
    client_end(plugin->edge.clients, asked->client); /* ends the pointer's previous owner */
    const char *refused = role_connect(&plugin->edge.rules, &plugin->edge.services, client_id,
                                       asked->username, asked->password, &facts);
    /* Others at its address cannot keep out a service with a valid secret; without one, the attempt
     * is charged. At a reload nobody connects. */
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    bool pays = !reload && (refused != NULL || facts.service == NULL);
    if (pays && !charge_connection(plugin->charge, asked->client, now_ns)) {
        plugin->counts.too_fast++;
        return TOO_MANY_CONNECTIONS;
    }
    if (refused != NULL)
        return MOSQ_ERR_AUTH;
    bool reader = !reload && facts.service == NULL;
    if (reader && !charge_session(plugin->charge, asked, &session, now_ns))
        return TOO_MANY_CONNECTIONS;
    int code = begin(plugin, asked, client_id, &facts, reload);
    if (code != MOSQ_ERR_SUCCESS && code != MOSQ_ERR_PLUGIN_DEFER)
        return code;
    if (reader)
        charge_session_begun(plugin->charge, asked->client, &session, code == MOSQ_ERR_PLUGIN_DEFER,
                             now_ns);
    struct client *client = client_find(plugin->edge.clients, asked->client);
    if (client != NULL && !client->ended && !reload)
        charge_begin(plugin->charge, client, asked->client, asked->password);
    return code;
}

#ifdef MOSQUITTO_2_1
static int on_connect(int event, void *data, void *user)
{
    const struct mosquitto_evt_connect *begun = data;
    (void)event;
    connected(user, begun->client);
    return MOSQ_ERR_SUCCESS;
}

static int on_client_offline(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    const struct mosquitto_evt_client_offline *ended = data;
    (void)event;
    settle_unmatched(plugin);
    charge_session_left(plugin->charge, ended->client, clock_ns(CLOCK_MONOTONIC));
    client_end(plugin->edge.clients, ended->client);
    return MOSQ_ERR_SUCCESS;
}
#endif

static int on_disconnect(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    const struct mosquitto_evt_disconnect *ended = data;
    (void)event;
    settle_unmatched(plugin);
    charge_session_left(plugin->charge, ended->client, clock_ns(CLOCK_MONOTONIC));
    client_end(plugin->edge.clients, ended->client);
    return MOSQ_ERR_SUCCESS;
}

/* --- who may --- */

static int code_of(enum role_answer answer)
{
    return answer == ROLE_ALLOW   ? MOSQ_ERR_SUCCESS
           : answer == ROLE_DEFER ? MOSQ_ERR_PLUGIN_DEFER
                                  : MOSQ_ERR_ACL_DENIED;
}

/* This many received bytes belong to a reported packet. */
static struct client *explain(struct plugin *plugin, const struct mosquitto *connection,
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
        explain(plugin, asked->client, WIRE_ACKNOWLEDGEMENTS_BYTES);
    if (role_read_public(area, rest))
        return MOSQ_ERR_SUCCESS;
    return code_of(role_read(facts_of(plugin, asked->client, &unauthenticated),
                             mosquitto_client_id(asked->client), asked->topic, area, rest));
}

/* Counts a refused reaction, also by its article if that is valid. */
static void count_refused(struct plugin *plugin, const char *article, size_t article_bytes,
                          bool known, enum reason reason)
{
    spool_dir_count_refused(plugin->edge.spool, reason);
    if (article_bytes > 0)
        refusals_count(plugin->edge.refusals, article, article_bytes, known, reason,
                       clock_ms(CLOCK_REALTIME));
}

/* For a reaction that was refused before admission judged it. */
static void count_forbidden(struct plugin *plugin, const char *article)
{
    struct registry *registry = plugin->edge.admit.registry;
    size_t bytes = article == NULL ? 0 : strlen(article);

    if (!article_valid(article, bytes))
        bytes = 0;
    bool is_known =
        bytes > 0 && (registry == NULL ||
                      registry_judge(registry, article, bytes, 0, 0).verdict == REGISTRY_KNOWN);
    count_refused(plugin, article, bytes, is_known, REASON_FORBIDDEN);
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
    return charge_waste(plugin->charge, client, connection, FLOOD_PUBLISH, 1,
                        clock_ns(CLOCK_MONOTONIC))
               ? MOSQ_ERR_ADMINISTRATIVE_ACTION
               : MOSQ_ERR_PLUGIN_DEFER;
}

/* It was allowed. */
static void give_back(struct plugin *plugin, const struct mosquitto *connection)
{
    struct client *client = client_find(plugin->edge.clients, connection);

    if (plugin->foreign == connection && client != NULL)
        client->refusals = plugin->refusals_before;
    plugin->foreign = NULL;
}

static int may_write(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    struct role_facts unauthenticated;
    const char *rest;
    enum role_area area = role_area(&plugin->edge.rules, asked->topic, &rest);
    struct client *client = explain(plugin, asked->client,
                                    strlen(asked->topic) + asked->payloadlen + WIRE_PACKET_BYTES);
    if (area == AREA_FOREIGN)
        return may_write_elsewhere(plugin, client, asked->client);
    enum role_answer answer =
        role_write(facts_of_writer(plugin, asked->client, &unauthenticated), area, rest);
    /* A retained will would be stored permanently, because MESSAGE does not see it. So retained
     * messages are refused here. */
    if (area == AREA_REACTIONS && asked->retain)
        answer = ROLE_DENY;
    if (answer == ROLE_DENY) {
        count_forbidden(plugin, area == AREA_REACTIONS ? rest : NULL);
        if (charge_waste(plugin->charge, client, asked->client,
                         area == AREA_REACTIONS ? FLOOD_REACTIONS : FLOOD_PUBLISH, 1,
                         clock_ns(CLOCK_MONOTONIC)))
            return MOSQ_ERR_ADMINISTRATIVE_ACTION;
    } else if (area == AREA_REACTIONS)
        plugin->unmatched = asked->client;
    return code_of(answer);
}

/* The name by which its source identifies the client. */
static const char *name_of(const struct client *client, const struct mosquitto *connection,
                           const char *client_id, size_t *bytes)
{
    const char *name = client_reader(client, bytes);

    if (name != NULL || client->facts.source == 't') /* 't' without: a gateway */
        return name;
    name = client->facts.source == 'u' ? mosquitto_client_username(connection) : client_id;
    *bytes = name == NULL ? 0 : strlen(name);
    return name;
}

/* A client that subscribes to an article's total or state is viewing that article. */
static void note_seen(struct plugin *plugin, const struct client *client,
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
    name = name_of(client, asked->client, mosquitto_client_id(asked->client), &bytes);
    if (!limited && client->facts.source != 0 && name != NULL && bytes <= READER_NAME_MAX_BYTES)
        reader_key = admit_reader_key(&plugin->edge.admit, client->facts.source, name, bytes);
    if (limited || reader_key != 0) {
        struct registry_actor who = admit_actor(limited, address_key, reader_key);
        registry_viewed(plugin->edge.admit.registry, rest, strlen(rest), &who);
    }
}

static int may_subscribe(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    struct client *client = connected(plugin, asked->client);
    if (client == NULL)
        return MOSQ_ERR_ACL_DENIED;
    if (housekeeping_ending(plugin->housekeeping) || charge_ending(plugin->charge))
        return code_of(role_subscribe(&plugin->edge.rules, &client->facts,
                                      mosquitto_client_id(asked->client), asked->topic));
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
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
        note_seen(plugin, client, asked);
    bool wildcard = answer == ROLE_ALLOW && strpbrk(asked->topic, "+#") != NULL;
    bool ends = charge_filter(plugin->charge, client, asked->client, wildcard, now_ns);
    if (answer != ROLE_ALLOW)
        ends = charge_waste(plugin->charge, client, asked->client, FLOOD_SUBSCRIBE, 1, now_ns);
    return ends ? MOSQ_ERR_ADMINISTRATIVE_ACTION : code_of(answer);
}

/* Takes nothing from anyone, but costs work. */
static int may_unsubscribe(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    struct client *client =
        explain(plugin, asked->client, strlen(asked->topic) + WIRE_PACKET_BYTES);

    charge_filter(plugin->charge, client, asked->client, false, now_ns);
    return charge_waste(plugin->charge, client, asked->client, FLOOD_SUBSCRIBE, 1, now_ns)
               ? MOSQ_ERR_ADMINISTRATIVE_ACTION
               : MOSQ_ERR_SUCCESS;
}

static int on_acl_check(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    const struct mosquitto_evt_acl_check *asked = data;

    (void)event;
    settle_unmatched(plugin);
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

/* --- reactions --- */

/* Tells the publisher why, on its receipt topic. It goes the same way as the collector's receipts,
 * so a client that has not subscribed gets none. */
static void send_refusal(struct plugin *plugin, struct client *client,
                         const struct admit_request *request, const struct admit_verdict *verdict)
{
    char topic[ADMIT_TOPIC_MAX_BYTES + RECORD_CLIENT_ID_MAX_BYTES + 1];
    char text[RECEIPT_MAX_BYTES];
    mosquitto_property *properties = NULL;
    void *payload = NULL;

    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (!limit_left(&receipt_rate, client->receipts, now_ns))
        goto fail;
    client->receipts = limit_taken(&receipt_rate, client->receipts, now_ns);
    size_t bytes = receipt_refusal(
        text, sizeof text, verdict->article, verdict->article_bytes,
        verdict->kind == KIND_UNKNOWN ? NULL : plugin->edge.admit.kinds.name[verdict->kind],
        verdict->reason);
    snprintf(topic, sizeof topic, "%s%s", plugin->edge.admit.receipts, request->client_id);
    if (verdict->correlation_bytes > 0 &&
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, request->correlation,
                                      (uint16_t)verdict->correlation_bytes) != MOSQ_ERR_SUCCESS)
        goto fail;
    /* The payload must be in the broker's own memory; on success the broker owns it and the
     * properties. */
    payload = mosquitto_malloc(bytes);
    if (payload == NULL)
        goto fail;
    memcpy(payload, text, bytes);
    if (mosquitto_broker_publish(NULL, topic, (int)bytes, payload, 0, false, properties) !=
        MOSQ_ERR_SUCCESS)
        goto fail;
    return;
fail:
    mosquitto_free(payload);
    mosquitto_property_free_all(&properties);
    spool_dir_count_receipt_dropped(plugin->edge.spool);
}

static int answer_refused(const struct mosquitto_evt_message *message, enum reason reason)
{
    int version = mosquitto_client_protocol_version(message->client);
    if (admit_answer(reason, version, message->qos) == ADMIT_DISCONNECT)
        return MOSQ_ERR_ADMINISTRATIVE_ACTION;
#ifdef MOSQUITTO_2_1
    if (reason == REASON_BUSY && version >= 5)
        return MOSQ_ERR_QUOTA_EXCEEDED; /* 0x97; 2.0 would disconnect */
#endif
    return MOSQ_ERR_ACL_DENIED;
}

/* The keys of a client's limits; they stay the same for a connection. */
static void fill_keys(const struct plugin *plugin, struct client *client,
                      const struct mosquitto *connection, struct admit_request *request)
{
    if (!client->keyed) {
        client->reader_key = admit_reader_key(&plugin->edge.admit, request->source, request->reader,
                                              request->reader_bytes);
        client->address_limited = charge_address(plugin->charge, connection, &client->address_key);
        client->keyed = true;
    }
    request->reader_key = client->reader_key;
    request->address_limited = client->address_limited;
    request->address_key = client->address_key;
}

static void fill_request(struct plugin *plugin, struct client *client, bool asked,
                         const struct mosquitto_evt_message *message, struct admit_request *request)
{
    struct property_view properties;

    property_find(message->properties, &properties);
    memset(request, 0, sizeof *request);
    request->topic = message->topic;
    request->payload = message->payload;
    request->payload_bytes = message->payloadlen;
    request->retain = message->retain;
    request->client_id = mosquitto_client_id(message->client);
    if (request->client_id == NULL)
        request->client_id = "";
    request->gateway = client->facts.role == ROLE_GATEWAY;
    request->source = client->facts.source;
    request->reader = name_of(client, message->client, request->client_id, &request->reader_bytes);
    request->unix_ms = clock_ms(CLOCK_REALTIME);
    request->may_react = asked && role_write(&client->facts, AREA_REACTIONS, NULL) == ROLE_ALLOW &&
                         !client_expired(client, request->unix_ms / 1000u);
    request->response_topic = properties.response_topic;
    request->response_topic_bytes = properties.response_topic_bytes;
    request->correlation = properties.correlation;
    request->correlation_bytes = properties.correlation_bytes;
    if (request->reader_bytes > 0 && request->reader_bytes <= READER_NAME_MAX_BYTES)
        fill_keys(plugin, client, message->client, request); /* others are forbidden */
    request->clock_bad = spool_dir_clock_bad(plugin->edge.spool);
    request->now_ns = clock_ns(CLOCK_MONOTONIC);
}

/* `asked`: ACL_CHECK came first. It does not for an outgoing bridge, which is never a reader. */
static int react(struct plugin *plugin, struct client *client, bool asked,
                 const struct mosquitto_evt_message *message)
{
    struct admit_request request;
    struct admit_verdict verdict;

    fill_request(plugin, client, asked, message, &request);
    admit_reaction(&plugin->edge.admit, &request, &verdict);
    if (verdict.reason == REASON_NONE) {
        spool_dir_count_admitted(plugin->edge.spool);
        spool_dir_wake(plugin->edge.spool);
        return MOSQ_ERR_SUCCESS;
    }
    count_refused(plugin, verdict.article, verdict.article_bytes, verdict.known, verdict.reason);
    if (verdict.wants_receipt)
        send_refusal(plugin, client, &request, &verdict);
    /* A refusal that the edge itself causes is charged to nobody. */
    if (verdict.reason != REASON_BUSY && verdict.reason != REASON_CLOCK &&
        charge_waste(plugin->charge, client, message->client, FLOOD_REACTIONS, 1, request.now_ns))
        return MOSQ_ERR_ADMINISTRATIVE_ACTION;
    return answer_refused(message, verdict.reason);
}

/* An invalid state changes nothing, and is not routed. The feed's are counted, because it may
 * repeat many; an operator's is logged at once. */
static int refuse_state(struct plugin *plugin, const char *article, bool by_feed, const char *why)
{
    if (by_feed)
        plugin->counts.states_refused++;
    else
        broker_say(MOSQ_LOG_WARNING, "a state is refused", "article=\"%.*s\" why=\"%s\"",
                   ARTICLE_MAX_BYTES, article, why);
    return MOSQ_ERR_ACL_DENIED;
}

/* Handles a state from an operator, or from the feed that passes it on. */
static int learn_state(struct plugin *plugin, const char *article, bool by_feed,
                       const struct mosquitto_evt_message *message)
{
    static const char *const why[] = {
        [REGISTRY_NO_ROOM] = "option max_articles is reached by articles with a state alone",
        [REGISTRY_NO_SUCH_KIND] = "it names a kind that is not configured",
        [REGISTRY_OUTDATED] = "an operator has changed it since",
    };
    struct registry *registry = plugin->edge.admit.registry;
    struct article_state state;
    enum registry_outcome outcome;
    size_t bytes = strlen(article);

    if (message->payloadlen == 0)
        outcome = registry_clear_state(registry, article, bytes, by_feed);
    else if (article_state_parse(&state, article, bytes, message->payload, message->payloadlen) !=
                 0 ||
             by_feed != (state.version > 0))
        return refuse_state(plugin, article, by_feed, "it is of no known form");
    else
        outcome = registry_set_state(registry, article, bytes, &state, clock_ms(CLOCK_REALTIME));
    return outcome == REGISTRY_APPLIED ? MOSQ_ERR_SUCCESS
                                       : refuse_state(plugin, article, by_feed, why[outcome]);
}

/* Handles an allowed message about an article: its state, or that it has a total and so was known,
 * or no longer has one, or is real. Only a retained message is a state. */
static int learn(struct plugin *plugin, const struct client *client, enum role_area area,
                 const char *article, const struct mosquitto_evt_message *message)
{
    bool by_feed = client->facts.role == ROLE_FEED;
    bool good = article != NULL && message->retain && article_valid(article, strlen(article));

    if (area == AREA_ARTICLES)
        return good ? learn_state(plugin, article, by_feed, message)
                    : refuse_state(plugin, article == NULL ? "" : article, by_feed,
                                   "it is not retained, or of no article");
    if (good && area == AREA_TOTALS && message->payloadlen > 0)
        registry_total_found(plugin->edge.admit.registry, article, strlen(article),
                             clock_ms(CLOCK_REALTIME));
    else if (good && area == AREA_TOTALS)
        registry_total_gone(plugin->edge.admit.registry, article, strlen(article));
    else if (area == AREA_OPS && by_feed && article != NULL && strcmp(article, "real") == 0 &&
             article_valid(message->payload, message->payloadlen))
        registry_confirm(plugin->edge.admit.registry, message->payload, message->payloadlen);
    return MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    const struct mosquitto_evt_message *message = data;
    const char *rest;

    (void)event;
    bool asked = plugin->unmatched == message->client;
    if (asked)
        plugin->unmatched = NULL;
    else
        settle_unmatched(plugin);
    enum role_area area = role_area(&plugin->edge.rules, message->topic, &rest);
    if (area == AREA_FOREIGN) {
        give_back(plugin, message->client);
        return MOSQ_ERR_SUCCESS;
    }
    struct client *client = connected(plugin, message->client);
    if (client != NULL && area == AREA_REACTIONS)
        return react(plugin, client, asked, message);
    if (client != NULL && role_write(&client->facts, area, rest) == ROLE_ALLOW)
        return learn(plugin, client, area, rest, message);
    spool_dir_count_refused(plugin->edge.spool, REASON_FORBIDDEN);
    return MOSQ_ERR_ACL_DENIED;
}

/* --- other events --- */

static int on_tick(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);

    (void)event;
#ifdef MOSQUITTO_2_1
    ((struct mosquitto_evt_tick *)data)->next_ms = CHARGE_LOOK_MS;
#else
    (void)data;
#endif
    plugin->reloading = false;
    settle_unmatched(plugin);
    if (now_ms >= plugin->next_look_ms) {
        plugin->next_look_ms = now_ms + CHARGE_LOOK_MS;
        charge_look(plugin->charge, clock_ns(CLOCK_MONOTONIC));
    }
    if (now_ms < plugin->next_tend_ms)
        return MOSQ_ERR_SUCCESS;
    plugin->next_tend_ms = now_ms + HOUSEKEEPING_MS;
    housekeeping_tend(plugin->housekeeping, now_ms, clock_ms(CLOCK_REALTIME));
    return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    (void)event;
    (void)data;
    plugin->reloading = true;
    housekeeping_reload(plugin->housekeeping);
#ifdef MOSQUITTO_2_1
    /* A callback that was never called is due at the loop's next turn, before anybody connects: it
     * ends the reload. */
    mosquitto_callback_unregister(plugin->id, MOSQ_EVT_TICK, on_tick, NULL);
    if (mosquitto_callback_register(plugin->id, MOSQ_EVT_TICK, on_tick, NULL, plugin) !=
        MOSQ_ERR_SUCCESS)
        return MOSQ_ERR_NOMEM; /* ends the broker: without TICK nothing would be tended */
    return MOSQ_ERR_SUCCESS;
#else
    return MOSQ_ERR_PLUGIN_DEFER; /* anything else hides the event from other plugins */
#endif
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback call;
} events[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth},
    {MOSQ_EVT_ACL_CHECK, on_acl_check},
    {MOSQ_EVT_MESSAGE, on_message},
    {MOSQ_EVT_DISCONNECT, on_disconnect},
    {MOSQ_EVT_TICK, on_tick},
    {MOSQ_EVT_RELOAD, on_reload},
#ifdef MOSQUITTO_2_1
    {MOSQ_EVT_CONNECT, on_connect},
    {MOSQ_EVT_CLIENT_OFFLINE, on_client_offline},
#endif
};

/* --- start and end --- */

static int register_events(struct plugin *plugin, char *error, size_t error_bytes)
{
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        int code =
            mosquitto_callback_register(plugin->id, events[i].event, events[i].call, NULL, plugin);
        if (code != MOSQ_ERR_SUCCESS)
            return error_say(error, error_bytes, "the broker knows no event %d (code %d)",
                             events[i].event, code);
    }
#ifdef MOSQUITTO_2_1
    plugin->tells_connect = true;
#endif
    return 0;
}

static void plugin_free(struct plugin *plugin)
{
    if (plugin == NULL)
        return;
    /* Callbacks that were never registered are not found; that is fine. */
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        mosquitto_callback_unregister(plugin->id, events[i].event, events[i].call, NULL);
    settle_unmatched(plugin);
    housekeeping_free(plugin->housekeeping);
    charge_free(plugin->charge);
    edge_close(&plugin->edge);
    free(plugin);
}

static int plugin_start(struct plugin *plugin, const struct mosquitto_opt *options, int n,
                        char *error, size_t error_bytes)
{
    if (startup_open(&plugin->edge, options, n, error, error_bytes) != 0)
        return -1;
    plugin->housekeeping = housekeeping_new(&plugin->edge, &plugin->counts);
    plugin->charge = charge_new(&plugin->edge, &plugin->counts);
    if (plugin->housekeeping == NULL || plugin->charge == NULL)
        return error_say(error, error_bytes, "no memory");
    return register_events(plugin, error, error_bytes);
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++)
        if (supported_versions[i] == PLUGIN_VERSION)
            return PLUGIN_VERSION;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                          struct mosquitto_opt *options, int option_count)
{
    char error[ERROR_MAX_BYTES];
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (plugin == NULL)
        return MOSQ_ERR_NOMEM;
    plugin->id = identifier;
    if (plugin_start(plugin, options, option_count, error, sizeof error) != 0) {
        if (error[0] != '\0')
            broker_say(MOSQ_LOG_ERR, error, "%s", "");
        plugin_free(plugin);
        return MOSQ_ERR_INVAL;
    }
    startup_say_ready(&plugin->edge);
    *userdata = plugin;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    plugin_free(userdata);
    return MOSQ_ERR_SUCCESS;
}
