/* A broker handles a client's packets in order and sends its answers in order. Everything retained
 * for a subscription has therefore arrived when the next subscription is acknowledged. */
#include "retained.h"

#include "core/article.h"
#include "core/error.h"
#include "core/mqtt_protocol.h"
#include "daemon/clock.h"

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEEPALIVE_S 120
#define ANSWER_MS 10000
#define TURN_MS 100
#define PREFIX_MAX_BYTES 255
#define TOPIC_BYTES (PREFIX_MAX_BYTES + ARTICLE_MAX_BYTES + 32)

struct retained {
    struct mosquitto *client;
    char prefix[PREFIX_MAX_BYTES + 1];
    struct error error;
    bool up, down;
    int awaited, acknowledged; /* message ids */
    bool refused;
    int published;           /* the message id of the last PUBACK */
    int reason;              /* and what it said */
    char begin[TOPIC_BYTES]; /* of the requested topics */
    retained_fn fn;
    void *user;
};

/* --- callbacks --- */

static void on_connect(struct mosquitto *client, void *user, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct retained *retained = user;
    (void)client;
    (void)flags;
    (void)properties;
    if (reason == 0)
        retained->up = true;
    else
        error_set(&retained->error, "broker: %s", mosquitto_reason_string(reason));
}

static void on_disconnect(struct mosquitto *client, void *user, int reason,
                          const mosquitto_property *properties)
{
    struct retained *retained = user;
    (void)client;
    (void)properties;
    retained->down = true;
    if (retained->error.text[0] == '\0')
        error_set(&retained->error, "broker: %s",
                  reason >= 0x80 ? mosquitto_reason_string(reason) : "the connection ended");
}

static void on_subscribe(struct mosquitto *client, void *user, int mid, int n, const int *granted,
                         const mosquitto_property *properties)
{
    struct retained *retained = user;
    (void)client;
    (void)properties;
    for (int i = 0; i < n; i++)
        if (granted[i] >= 0x80)
            retained->refused = true;
    retained->acknowledged = mid;
}

static void on_publish(struct mosquitto *client, void *user, int mid, int reason,
                       const mosquitto_property *properties)
{
    struct retained *retained = user;
    (void)client;
    (void)properties;
    retained->published = mid;
    retained->reason = reason;
}

static void on_message(struct mosquitto *client, void *user,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct retained *retained = user;
    (void)client;
    (void)properties;
    /* Messages published meanwhile arrive without the flag. */
    if (!message->retain || retained->fn == NULL || message->payloadlen < 0)
        return;
    size_t bytes = strlen(retained->begin);
    if (strncmp(message->topic, retained->begin, bytes) != 0)
        return;
    retained->fn(retained->user, message->topic + bytes, message->payload,
                 (size_t)message->payloadlen);
}

/* --- waiting --- */

static int retained_fail(struct retained *retained, int rc)
{
    if (retained->error.text[0] == '\0')
        error_set(&retained->error, "broker: %s", mosquitto_strerror(rc));
    return -1;
}

static bool is_connected(const struct retained *retained)
{
    return retained->up;
}

static bool acknowledged(const struct retained *retained)
{
    return retained->acknowledged == retained->awaited;
}

static bool published(const struct retained *retained)
{
    return retained->published == retained->awaited;
}

static int turn_until(struct retained *retained, bool (*done)(const struct retained *retained))
{
    uint64_t limit_ms = clock_monotonic_ms() + ANSWER_MS;
    while (!done(retained)) {
        int rc = mosquitto_loop(retained->client, TURN_MS, 1);
        if (rc != MOSQ_ERR_SUCCESS || retained->down)
            return retained_fail(retained, rc);
        if (clock_monotonic_ms() > limit_ms) {
            error_set(&retained->error, "broker: no answer in %d s", ANSWER_MS / 1000);
            return -1;
        }
    }
    return 0;
}

/* --- opening --- */

static int make_client(struct retained *retained, const struct retained_config *config)
{
    char id[40];
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    snprintf(id, sizeof id, "ops-audit-%016llx", (unsigned long long)random);
    (void)mosquitto_lib_init();
    retained->client = mosquitto_new(id, true, retained);
    if (retained->client == NULL)
        return -1;
    mosquitto_int_option(retained->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_connect_v5_callback_set(retained->client, on_connect);
    mosquitto_disconnect_v5_callback_set(retained->client, on_disconnect);
    mosquitto_subscribe_v5_callback_set(retained->client, on_subscribe);
    mosquitto_message_v5_callback_set(retained->client, on_message);
    mosquitto_publish_v5_callback_set(retained->client, on_publish);
    return mosquitto_username_pw_set(retained->client, config->username, config->password) ==
                   MOSQ_ERR_SUCCESS
               ? 0
               : -1;
}

struct retained *retained_open(const struct retained_config *config, struct error *error)
{
    struct retained *retained = calloc(1, sizeof *retained);
    if (retained == NULL || strlen(config->prefix) > PREFIX_MAX_BYTES ||
        make_client(retained, config) != 0) {
        error_set(error, "broker: no memory");
        goto refused;
    }
    memcpy(retained->prefix, config->prefix, strlen(config->prefix) + 1);
    int rc = mosquitto_connect(retained->client, config->host, config->port, KEEPALIVE_S);
    if (rc == MOSQ_ERR_SUCCESS && turn_until(retained, is_connected) == 0)
        return retained;
    (void)retained_fail(retained, rc);
    error_set(error, "%s (%s:%d)", retained->error.text, config->host, config->port);
refused:
    retained_free(retained);
    return NULL;
}

void retained_free(struct retained *retained)
{
    if (retained == NULL)
        return;
    if (retained->client != NULL) {
        if (retained->up && !retained->down)
            (void)mosquitto_disconnect(retained->client);
        mosquitto_destroy(retained->client);
        mosquitto_lib_cleanup();
    }
    free(retained);
}

const char *retained_error(const struct retained *retained)
{
    return retained->error.text;
}

/* --- asking --- */

static int retained_ask(struct retained *retained, int n, char *const *filters)
{
    char fence[TOPIC_BYTES], *fence_filter = fence;
    int rc = mosquitto_subscribe_multiple(retained->client, NULL, n, filters, 0, 0, NULL);
    snprintf(fence, sizeof fence, "%sarticles/audit", retained->prefix);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_subscribe_multiple(retained->client, &retained->awaited, 1, &fence_filter, 0,
                                          0, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
        return retained_fail(retained, rc);
    retained->acknowledged = 0;
    if (turn_until(retained, acknowledged) != 0)
        return -1;
    rc = mosquitto_unsubscribe_multiple(retained->client, NULL, n, filters, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
        return retained_fail(retained, rc);
    if (retained->refused) {
        error_set(&retained->error, "broker: this user may not see %s", retained->begin);
        return -1;
    }
    return 0;
}

/* `begin` is that of the topics that `fn` gets, such as "totals/". */
static int ask_for(struct retained *retained, const char *prefix, const char *begin, int n,
                   char *const *filters, retained_fn fn, void *user)
{
    snprintf(retained->begin, sizeof retained->begin, "%s%s", prefix, begin);
    retained->refused = false;
    retained->fn = fn;
    retained->user = user;
    int result = retained_ask(retained, n, filters);
    retained->fn = NULL;
    return result;
}

int retained_get(struct retained *retained, const char *const *articles, size_t n, retained_fn fn,
                 void *user)
{
    static char topic[RETAINED_BATCH_MAX][TOPIC_BYTES]; /* large */
    char *filters[RETAINED_BATCH_MAX];
    if (n == 0)
        return 0;
    if (n > RETAINED_BATCH_MAX)
        return retained_fail(retained, MOSQ_ERR_INVAL);
    for (size_t i = 0; i < n; i++) {
        snprintf(topic[i], sizeof topic[i], "%stotals/%s", retained->prefix, articles[i]);
        filters[i] = topic[i];
    }
    return ask_for(retained, retained->prefix, "totals/", (int)n, filters, fn, user);
}

int retained_all(struct retained *retained, retained_fn fn, void *user)
{
    char topic[TOPIC_BYTES], *filter = topic;
    snprintf(topic, sizeof topic, "%stotals/#", retained->prefix);
    return ask_for(retained, retained->prefix, "totals/", 1, &filter, fn, user);
}

int retained_topic(struct retained *retained, const char *topic, retained_fn fn, void *user)
{
    char filter_text[TOPIC_BYTES], *filter = filter_text;
    snprintf(filter_text, sizeof filter_text, "%s", topic);
    return ask_for(retained, "", topic, 1, &filter, fn, user);
}

/* --- states --- */

int retained_state(struct retained *retained, const char *article, retained_fn fn, void *user)
{
    char topic[TOPIC_BYTES], *filter = topic;
    snprintf(topic, sizeof topic, "%sarticles/%s", retained->prefix, article);
    return ask_for(retained, retained->prefix, "articles/", 1, &filter, fn, user);
}

int retained_put_state(struct retained *retained, const char *article, const char *payload,
                       size_t bytes, int *reason)
{
    char topic[TOPIC_BYTES];
    snprintf(topic, sizeof topic, "%sarticles/%s", retained->prefix, article);
    retained->published = 0;
    int rc = mosquitto_publish_v5(retained->client, &retained->awaited, topic, (int)bytes, payload,
                                  1, true, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
        return retained_fail(retained, rc);
    if (turn_until(retained, published) != 0)
        return -1;
    *reason = retained->reason;
    return 0;
}

const char *retained_reason(int reason)
{
    return mosquitto_reason_string(reason);
}
