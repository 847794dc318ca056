/* Where Mosquitto and Tally meet: the only file that knows the broker, which calls all of it on its
 * one thread. */
#include "admit.h"
#include "client.h"
#include "receipt.h"
#include "role.h"
#include "settings.h"
#include "surroundings.h"

#include "core/record.h"
#include "spool/spool_file.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include(<mosquitto/broker.h>)
#include <mosquitto.h>
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#else
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#endif
#include <mqtt_protocol.h>

#define ERROR_BYTES 512
#define OPTIONS_MAX 64
#define TEND_PAUSE_MS 100
#define RESPONSE_TOPIC_MAX_BYTES 256

struct plugin {
    mosquitto_plugin_id_t *id;
    struct settings settings;
    struct services services;
    struct reader_key key;
    struct role_rules rules;
    struct spool_dir *spool;
    struct client_table *clients;
    struct admit admit;
    uint64_t tended_ms;
};

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct spool_producer *ring_of(void *user, uint32_t shard)
{
    struct plugin *plugin = user;
    return spool_dir_producer(plugin->spool, shard);
}

/* The connection's entry; made here where the broker asked nobody at connect (identity from a
 * certificate, a session whose client is away). NULL: no memory or no place. */
static struct client *client_of(struct plugin *plugin, struct mosquitto *connection)
{
    struct role_facts facts;
    struct client *client = client_find(plugin->clients, connection);
    if (client != NULL)
        return client;
    role_unasked(&plugin->rules, &plugin->services, mosquitto_client_id(connection),
                 mosquitto_client_username(connection), &facts);
    return client_put(plugin->clients, connection, &facts);
}

static int on_basic_auth(int event, void *event_data, void *user)
{
    struct plugin *plugin = user;
    struct mosquitto_evt_basic_auth *auth = event_data;
    struct role_facts facts;
    const char *client_id = mosquitto_client_id(auth->client);
    (void)event;
    const char *refused =
        role_connect(&plugin->rules, &plugin->services, client_id != NULL ? client_id : "",
                     auth->username, auth->password, &facts);
    if (refused != NULL) {
        mosquitto_log_printf(MOSQ_LOG_DEBUG, "tally: connection refused: %s", refused);
        return MOSQ_ERR_AUTH;
    }
    return client_put(plugin->clients, auth->client, &facts) != NULL ? MOSQ_ERR_SUCCESS
                                                                     : MOSQ_ERR_AUTH;
}

static int on_disconnect(int event, void *event_data, void *user)
{
    struct plugin *plugin = user;
    struct mosquitto_evt_disconnect *disconnect = event_data;
    (void)event;
    client_remove(plugin->clients, disconnect->client);
    return MOSQ_ERR_SUCCESS;
}

static int broker_answer(enum role_answer answer)
{
    if (answer == ROLE_DEFER)
        return MOSQ_ERR_PLUGIN_DEFER;
    return answer == ROLE_ALLOW ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

static int check_subscribe(struct plugin *plugin, struct client *client, const char *client_id,
                           const char *filter)
{
    if (role_subscriptions_bounded(&client->facts) &&
        client->subscriptions >= plugin->settings.max_subscriptions)
        return MOSQ_ERR_ACL_DENIED;
    client->subscriptions++;
    return broker_answer(role_subscribe(&plugin->rules, &client->facts, client_id, filter));
}

static int check_write(struct plugin *plugin, const struct client *client,
                       const struct mosquitto_evt_acl_check *check)
{
    const char *rest;
    enum role_area area = role_area(&plugin->rules, check->topic, &rest);
    enum role_answer answer = role_write(&client->facts, area, rest);
    /* A retained one is refused here, too: a will passes by no other check. */
    if (answer == ROLE_ALLOW && area == AREA_REACTIONS && check->retain)
        answer = ROLE_DENY;
    if (answer == ROLE_DENY)
        spool_dir_count_refused(plugin->spool, REASON_FORBIDDEN);
    return broker_answer(answer);
}

static int on_acl_check(int event, void *event_data, void *user)
{
    struct plugin *plugin = user;
    struct mosquitto_evt_acl_check *check = event_data;
    const char *rest;
    (void)event;
    struct client *client = client_of(plugin, check->client);
    if (client == NULL)
        return MOSQ_ERR_ACL_DENIED;
    const char *client_id = mosquitto_client_id(check->client);
    switch (check->access) {
    case MOSQ_ACL_SUBSCRIBE:
        return check_subscribe(plugin, client, client_id, check->topic);
    case MOSQ_ACL_WRITE:
        return check_write(plugin, client, check);
    case MOSQ_ACL_READ: {
        enum role_area area = role_area(&plugin->rules, check->topic, &rest);
        return broker_answer(role_read(&client->facts, client_id, check->topic, area, rest));
    }
    case MOSQ_ACL_UNSUBSCRIBE:
        return MOSQ_ERR_SUCCESS;
    default:
        return MOSQ_ERR_PLUGIN_DEFER;
    }
}

/* Where the answer is to go: what the publisher asked for. Freed by reply_fini. */
struct reply {
    char *topic; /* NULL: none asked for */
    void *correlation;
    uint16_t correlation_bytes;
};

/* The broker offers plugins no way to read a property but by a copy: only who asks for a receipt
 * pays for it. */
static void reply_init(struct reply *reply, const mosquitto_property *properties)
{
    *reply = (struct reply){0};
    if (properties == NULL)
        return;
    mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &reply->topic, false);
    if (reply->topic != NULL)
        mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &reply->correlation,
                                       &reply->correlation_bytes, false);
}

static void reply_fini(struct reply *reply)
{
    free(reply->topic);
    free(reply->correlation);
}

static bool reply_is_own(const struct plugin *plugin, const struct reply *reply,
                         const char *client_id)
{
    const char *rest;
    return reply->topic != NULL &&
           role_area(&plugin->rules, reply->topic, &rest) == AREA_RECEIPTS && rest != NULL &&
           strcmp(rest, client_id) == 0;
}

/* Tells who asked why its reaction was refused; to that client only, whatever it subscribed to. */
static void send_refusal(struct plugin *plugin, struct client *client,
                         const struct admit_request *request, const struct admit_found *found,
                         const struct reply *reply, enum reason reason)
{
    char receipt[RECEIPT_MAX_BYTES];
    mosquitto_property *properties = NULL;
    if (!request->response_topic_own)
        return;
    if (!client_take_receipt(client, request->unix_ms)) {
        spool_dir_count_receipt_dropped(plugin->spool);
        return;
    }
    const char *kind =
        found->kind == KIND_UNKNOWN ? NULL : plugin->settings.kind_table.name[found->kind];
    size_t bytes = receipt_refused(receipt, found->article ? request->article : NULL,
                                   request->article_bytes, kind, reason);
    if (reply->correlation != NULL && reply->correlation_bytes <= RECORD_CORRELATION_MAX_BYTES)
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, reply->correlation,
                                      reply->correlation_bytes);
    if (mosquitto_broker_publish_copy(request->client_id, reply->topic, (int)bytes, receipt, 0,
                                      false, properties) != MOSQ_ERR_SUCCESS)
        mosquitto_property_free_all(&properties);
}

/* How the broker can say it: MQTT 5 has a reason code; an older client that waits for an
 * acknowledgement is disconnected rather than told that what will work later was done. */
static int refusal_code(enum reason reason, int protocol_version, int qos)
{
    if (reason != REASON_BUSY && reason != REASON_CLOCK)
        return MOSQ_ERR_ACL_DENIED;
    if (protocol_version < 5)
        return qos > 0 ? MOSQ_ERR_UNKNOWN : MOSQ_ERR_ACL_DENIED;
#ifdef TALLY_QUOTA_EXCEEDED
    if (reason == REASON_BUSY)
        return TALLY_QUOTA_EXCEEDED;
#endif
    return MOSQ_ERR_ACL_DENIED;
}

static enum reason admit_or_refuse(struct plugin *plugin, struct client *client,
                                   const struct mosquitto_evt_message *message, const char *article)
{
    struct reply reply;
    struct admit_found found;
    const char *client_id = mosquitto_client_id(message->client);
    const char *username = mosquitto_client_username(message->client);
    char source = client->facts.source;
    const char *reader = source == 'u' ? username : client_id;

    reply_init(&reply, message->properties);
    struct admit_request request = {
        .article = article,
        .article_bytes = article != NULL ? strlen(article) : 0,
        .payload = message->payload,
        .payload_bytes = message->payloadlen,
        .retain = message->retain,
        .source = reader != NULL ? source : 0,
        .reader = reader,
        .reader_bytes = reader != NULL ? strlen(reader) : 0,
        .client_id = client_id,
        .client_id_bytes = strlen(client_id),
        .response_topic = reply.topic != NULL,
        .response_topic_own = reply_is_own(plugin, &reply, client_id),
        .correlation = reply.correlation,
        .correlation_bytes = reply.correlation_bytes,
        .unix_ms = unix_ms(),
    };
    plugin->admit.clock_bad = spool_dir_clock_bad(plugin->spool);
    enum reason reason = admit_reaction(&plugin->admit, &request, &found);
    if (reason == REASON_NONE) {
        spool_dir_count_admitted(plugin->spool);
        spool_dir_wake(plugin->spool);
    } else {
        spool_dir_count_refused(plugin->spool, reason);
        send_refusal(plugin, client, &request, &found, &reply, reason);
    }
    reply_fini(&reply);
    return reason;
}

static int on_message(int event, void *event_data, void *user)
{
    struct plugin *plugin = user;
    struct mosquitto_evt_message *message = event_data;
    const char *rest;
    (void)event;
    enum role_area area = role_area(&plugin->rules, message->topic, &rest);
    if (area == AREA_FOREIGN)
        return MOSQ_ERR_SUCCESS;
    struct client *client = client_of(plugin, message->client);
    if (client == NULL)
        return MOSQ_ERR_ACL_DENIED;
    /* Once more: a bridge passes by ACL_CHECK. */
    if (role_write(&client->facts, area, rest) != ROLE_ALLOW) {
        spool_dir_count_refused(plugin->spool, REASON_FORBIDDEN);
        return MOSQ_ERR_ACL_DENIED;
    }
    if (area != AREA_REACTIONS)
        return MOSQ_ERR_SUCCESS;
    if (mosquitto_client_id(message->client) == NULL)
        return MOSQ_ERR_ACL_DENIED;
    enum reason reason = admit_or_refuse(plugin, client, message, rest);
    if (reason == REASON_NONE)
        return MOSQ_ERR_SUCCESS;
    return refusal_code(reason, mosquitto_client_protocol_version(message->client), message->qos);
}

static int on_tick(int event, void *event_data, void *user)
{
    struct plugin *plugin = user;
    char note[ERROR_BYTES] = "";
    (void)event;
    (void)event_data;
    uint64_t now_ms = unix_ms();
    if (now_ms - plugin->tended_ms < TEND_PAUSE_MS) /* unsigned: a clock set back tends at once */
        return MOSQ_ERR_SUCCESS;
    plugin->tended_ms = now_ms;
    spool_dir_tend(plugin->spool, note, sizeof note);
    if (note[0] != '\0')
        mosquitto_log_printf(MOSQ_LOG_WARNING, "tally: %s", note);
    return MOSQ_ERR_SUCCESS;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback callback;
} callbacks[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth}, {MOSQ_EVT_ACL_CHECK, on_acl_check},
    {MOSQ_EVT_MESSAGE, on_message},       {MOSQ_EVT_TICK, on_tick},
    {MOSQ_EVT_DISCONNECT, on_disconnect},
};
#define CALLBACKS (sizeof callbacks / sizeof callbacks[0])

static int load_settings(struct plugin *plugin, const struct mosquitto_opt *options, int count,
                         char *error)
{
    const char *names[OPTIONS_MAX], *values[OPTIONS_MAX];
    size_t n = 0;
    for (int i = 0; i < count && n < OPTIONS_MAX; i++, n++) {
        names[n] = options[i].key;
        values[n] = options[i].value;
    }
    if (settings_load(&plugin->settings, names, values, n, error, ERROR_BYTES) != 0)
        return -1;
    if (services_load(&plugin->services, plugin->settings.services_file, error, ERROR_BYTES) != 0)
        return -1;
    return reader_key_load(&plugin->key, plugin->settings.key_file, error, ERROR_BYTES);
}

static int look_around(const struct plugin *plugin, char *error)
{
    struct surroundings around;
    bool safe, survives;
    surroundings_read(&around);
    if (around.per_listener_settings) {
        (void)strcpy(error, "per_listener_settings is true: a listener without the plugin would "
                            "acknowledge reactions "
                            "that nobody counts; it must be false");
        return -1;
    }
    if (around.persistence)
        mosquitto_log_printf(
            MOSQ_LOG_WARNING,
            "tally: persistence is true: an old snapshot can bring old totals back; "
            "`persistence false` is right for an edge");
    const char *fs = spool_dir_file_system(plugin->settings.spool, &safe, &survives);
    mosquitto_log_printf(safe && survives ? MOSQ_LOG_NOTICE : MOSQ_LOG_WARNING,
                         "tally: spool=%s file_system=%s%s%s", plugin->settings.spool, fs,
                         safe ? "" : " (unsafe: writes may fail late or be lost)",
                         survives ? "" : " (does not survive a reboot)");
    return 0;
}

static int open_spool(struct plugin *plugin, char *error)
{
    struct spool_dir_want want = {
        .shards = (uint32_t)plugin->settings.shards,
        .ring_bytes = plugin->settings.ring_bytes,
        .kinds = plugin->settings.kind_table,
    };
    reader_fingerprint(&plugin->key, want.fingerprint);
    plugin->spool = spool_dir_produce(plugin->settings.spool, &want, error, ERROR_BYTES);
    if (plugin->spool == NULL)
        return -1;
    plugin->admit = (struct admit){
        .kinds = &plugin->settings.kind_table,
        .key = &plugin->key,
        .shards = want.shards,
        .ring = ring_of,
        .user = plugin,
        .last_stamp = spool_dir_last_stamp(plugin->spool),
        .late_counter = spool_dir_late_counter(plugin->spool),
    };
    return 0;
}

static void plugin_free(struct plugin *plugin)
{
    if (plugin == NULL)
        return;
    client_table_free(plugin->clients);
    spool_dir_free(plugin->spool);
    free(plugin);
}

static struct plugin *plugin_new(const struct mosquitto_opt *options, int count, char *error)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);
    (void)strcpy(error, "no memory");
    if (plugin == NULL || (plugin->clients = client_table_new()) == NULL)
        goto fail;
    if (load_settings(plugin, options, count, error) != 0)
        goto fail;
    plugin->rules = (struct role_rules){
        .prefix = plugin->settings.topic_prefix,
        .prefix_bytes = strlen(plugin->settings.topic_prefix),
        .open_wildcards = plugin->settings.open_wildcards,
        .auto_id_may_react = plugin->settings.auto_id_may_react,
        .by_username = plugin->settings.by_username,
        .by_client_id = plugin->settings.by_client_id,
    };
    if (open_spool(plugin, error) != 0 || look_around(plugin, error) != 0)
        goto fail;
    return plugin;

fail:
    plugin_free(plugin);
    return NULL;
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++)
        if (supported_versions[i] == 5)
            return 5;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                          struct mosquitto_opt *options, int option_count)
{
    char error[ERROR_BYTES];
    struct plugin *plugin = plugin_new(options, option_count, error);
    if (plugin == NULL) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "tally: %s", error);
        return MOSQ_ERR_INVAL;
    }
    plugin->id = identifier;
    for (size_t i = 0; i < CALLBACKS; i++) {
        int rc = mosquitto_callback_register(identifier, callbacks[i].event, callbacks[i].callback,
                                             NULL, plugin);
        if (rc != MOSQ_ERR_SUCCESS) {
            mosquitto_log_printf(MOSQ_LOG_ERR, "tally: the broker does not offer event %d",
                                 callbacks[i].event);
            plugin_free(plugin);
            return rc;
        }
    }
    *userdata = plugin;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    struct plugin *plugin = userdata;
    (void)options;
    (void)option_count;
    if (plugin == NULL)
        return MOSQ_ERR_SUCCESS;
    for (size_t i = 0; i < CALLBACKS; i++)
        mosquitto_callback_unregister(plugin->id, callbacks[i].event, callbacks[i].callback, NULL);
    plugin_free(plugin);
    return MOSQ_ERR_SUCCESS;
}
