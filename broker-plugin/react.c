/* A reaction's way through the broker: from MESSAGE to the request that admit.c judges, to its
 * answer, its counts and its receipt. */
#include "react.h"

#include "identity.h"
#include "property.h"
#include "receipt.h"

#include "core/article.h"

#include <stdio.h>
#include <string.h>

/* Counts a refused reaction, also by its article if that is valid. */
static void count_refused(struct plugin *plugin, const char *article, size_t article_bytes,
                          bool known, enum reason reason)
{
    spool_producer_count_refused(plugin->edge.spool, reason);
    if (article_bytes > 0 && !article_is_probe(article, article_bytes))
        refusals_count(plugin->edge.refusals, article, article_bytes, known, reason,
                       broker_unix_ms());
}

void react_count_forbidden(struct plugin *plugin, const char *article)
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

/* Tells the publisher why, on its receipt topic. It goes the same way as the collector's receipts,
 * so a client that has not subscribed gets none. */
static void send_refusal(struct plugin *plugin, struct client *client,
                         const struct admit_request *request, const struct admit_verdict *verdict)
{
    char topic[ADMIT_TOPIC_MAX_BYTES + RECORD_CLIENT_ID_MAX_BYTES + 1];
    char text[RECEIPT_MAX_BYTES];
    mosquitto_property *properties = NULL;
    void *payload = NULL;

    uint64_t now_ns = broker_now_ns();
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
    spool_producer_count_receipt_dropped(plugin->edge.spool);
}

static int answer_refused(const struct plugin *plugin, const struct mosquitto_evt_message *message,
                          enum reason reason)
{
    int version = mosquitto_client_protocol_version(message->client);
    if (admit_answer(reason, version, message->qos) == ADMIT_DISCONNECT)
        return broker_ends(plugin->mosquitto_2_1);
    if (plugin->mosquitto_2_1 && reason == REASON_BUSY && version >= 5)
        return BROKER_ERR_QUOTA_EXCEEDED; /* 0x97; 2.0 would disconnect */
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

static struct admit_request request_of(struct plugin *plugin, struct client *client,
                                       const char *article, bool asked,
                                       const struct mosquitto_evt_message *message)
{
    struct property_view properties;
    const char *client_id = mosquitto_client_id(message->client);

    property_find(message->properties, &properties);
    struct admit_request request = {
        .topic = message->topic,
        .payload = message->payload,
        .payload_bytes = message->payloadlen,
        .retain = message->retain,
        .gateway = role_names_readers(client->facts.role),
        .source = client->facts.source,
        .client_id = client_id == NULL ? "" : client_id,
        .response_topic = properties.response_topic,
        .response_topic_bytes = properties.response_topic_bytes,
        .correlation = properties.correlation,
        .correlation_bytes = properties.correlation_bytes,
        .clock_bad = spool_clock_bad(plugin->edge.spool),
        .unix_ms = broker_unix_ms(),
        .now_ns = broker_now_ns(),
    };
    request.may_react = asked &&
                        role_write(&client->facts, AREA_REACTIONS, article) == ROLE_ALLOW &&
                        !client_expired(client, request.unix_ms / 1000u);
    request.reader =
        identity_reader(client, message->client, request.client_id, &request.reader_bytes);
    if (request.reader_bytes > 0 && request.reader_bytes <= READER_NAME_MAX_BYTES)
        fill_keys(plugin, client, message->client, &request); /* others are forbidden */
    return request;
}

int react_to_message(struct plugin *plugin, struct client *client, const char *article, bool asked,
                     const struct mosquitto_evt_message *message)
{
    struct admit_request request = request_of(plugin, client, article, asked, message);
    struct admit_verdict verdict;

    admit_reaction(&plugin->edge.admit, &request, &verdict);
    if (verdict.reason == REASON_NONE) {
        spool_producer_count_admitted(plugin->edge.spool);
        spool_producer_wake(plugin->edge.spool);
        return MOSQ_ERR_SUCCESS;
    }
    count_refused(plugin, verdict.article, verdict.article_bytes, verdict.known, verdict.reason);
    if (verdict.wants_receipt)
        send_refusal(plugin, client, &request, &verdict);
    /* A refusal that the edge itself causes is charged to nobody. */
    if (verdict.reason != REASON_BUSY && verdict.reason != REASON_CLOCK &&
        charge_waste(plugin->charge, client, message->client, FLOOD_REACTIONS, 1, request.now_ns))
        return broker_ends(plugin->mosquitto_2_1);
    return answer_refused(plugin, message, verdict.reason);
}
