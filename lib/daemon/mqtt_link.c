/* libmosquitto's non-threaded interface (mosquitto_loop_read, _write, _misc) on libevent.
 *
 * Each attempt to connect uses a new client, for two reasons. A client kept across a reconnection
 * would resend its unacknowledged QoS 1 messages (message__retry_check in handle_connack.c),
 * although they may claim what a new broker does not hold. And 2.0.11 leaves a mutex unlocked twice
 * after a server's DISCONNECT (do_client_disconnect in connect.c). */
#include "daemon/mqtt_link.h"

#include "core/mqtt_protocol.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mqtt_goodbye.h"
#include "daemon/mqtt_host.h"

#include <errno.h>
#include <event2/util.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_S 5 /* libmosquitto's least; a silent broker is noticed within twice that */
#define CONNACK_WAIT_S 5
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 500 /* the broker may be back at any moment */
#define STEADY_S 5       /* after a connection this long, the next pause is the shortest again */
#define BACKED_UP_BYTES (256 * 1024) /* held in memory, beyond what the kernel has taken */

enum state { STATE_WAITING, STATE_CONNECTING, STATE_UP };

struct mqtt_link {
    struct event_base *base;
    struct mqtt_link_config config;
    struct mqtt_host *at;
    struct mosquitto *client; /* NULL while waiting for the next attempt, or for its address */
    struct event *readable;
    struct event *writable;
    struct event *tick;  /* each second: keep-alive, time limit; at once: settle a broken link */
    struct event *retry; /* the next attempt */
    enum state state;
    int in_library; /* depth of calls into libmosquitto that may call back */
    bool broken;    /* the connection ended; settled outside libmosquitto */
    char why[160];  /* why it ended */
    char said[160]; /* the last failure that was logged */
    unsigned pause_ms;
    unsigned age_s;         /* ticks since this state began */
    size_t queued_bytes;    /* handed to libmosquitto since its queue was last seen empty */
    uint64_t awaited[1024]; /* a bit for each QoS 1 message id in flight: 65536 bits */
};

static void mqtt_link_settle(struct mqtt_link *link);

static void awaited_set(struct mqtt_link *link, int mid)
{
    link->awaited[(mid & 0xffff) / 64] |= UINT64_C(1) << (mid % 64);
}

/* Whether `mid` was in flight; clears it. libmosquitto reports QoS 0 messages through the same
 * callback and with the same numbers. */
static bool awaited_take(struct mqtt_link *link, int mid)
{
    uint64_t *word = &link->awaited[(mid & 0xffff) / 64];
    uint64_t bit = UINT64_C(1) << (mid % 64);
    bool there = (*word & bit) != 0;
    *word &= ~bit;
    return there;
}

static void set_broken(struct mqtt_link *link, int rc)
{
    if (link->broken)
        return;
    link->broken = true;
    if (link->why[0] != '\0')
        return; /* the broker's rejection says more than the end of the connection */
    const char *why = rc == MOSQ_ERR_ERRNO ? strerror(errno)
                      : rc >= 0x80         ? mosquitto_reason_string(rc)
                      : rc == 0            ? "closed by the broker"
                                           : mosquitto_strerror(rc);
    snprintf(link->why, sizeof link->why, "%s", why);
}

/* ---- libmosquitto's callbacks ---- */

static void on_connect(struct mosquitto *client, void *user, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct mqtt_link *link = user;
    (void)client;
    (void)flags;
    (void)properties;
    if (reason != 0) {
        snprintf(link->why, sizeof link->why, "%s", mosquitto_reason_string(reason));
        return; /* on_disconnect follows */
    }
    link->state = STATE_UP;
    link->age_s = 0;
    link->said[0] = '\0';
    log_line(link->config.quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "broker connected",
             "host=%s port=%d", link->config.host, link->config.port);
    if (link->config.on_up != NULL)
        link->config.on_up(link->config.user);
}

static void on_disconnect(struct mosquitto *client, void *user, int reason,
                          const mosquitto_property *properties)
{
    (void)client;
    (void)properties;
    set_broken(user, reason);
}

static void on_message(struct mosquitto *client, void *user,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct mqtt_link *link = user;
    (void)client;
    if (link->config.on_message != NULL)
        link->config.on_message(link->config.user, message, properties);
}

static void on_publish(struct mosquitto *client, void *user, int mid, int reason,
                       const mosquitto_property *properties)
{
    struct mqtt_link *link = user;
    (void)client;
    (void)properties;
    if (!awaited_take(link, mid))
        return;
    if (reason >= 0x80 && link->config.on_refused != NULL)
        link->config.on_refused(link->config.user, mid);
    else if (reason >= 0x80)
        log_line(LOG_LEVEL_WARNING, "broker refused a message", "reason=%s",
                 mosquitto_reason_string(reason));
    else if (link->config.on_published != NULL)
        link->config.on_published(link->config.user, mid);
}

/* ---- events ---- */

/* Waits for the socket to be writable only while bytes are waiting. */
static void watch_writes(struct mqtt_link *link)
{
    if (link->client == NULL || link->writable == NULL || link->broken)
        return;
    if (mosquitto_want_write(link->client))
        event_add(link->writable, NULL);
    else
        link->queued_bytes = 0;
}

static void after_library(struct mqtt_link *link, int rc)
{
    link->in_library--;
    if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(link->client) == -1)
        set_broken(link, rc);
    if (link->broken)
        mqtt_link_settle(link);
    else
        watch_writes(link);
}

static void readable_cb(evutil_socket_t fd, short what, void *user)
{
    struct mqtt_link *link = user;
    (void)fd;
    (void)what;
    link->in_library++;
    after_library(link, mosquitto_loop_read(link->client, 1));
}

static void writable_cb(evutil_socket_t fd, short what, void *user)
{
    struct mqtt_link *link = user;
    (void)fd;
    (void)what;
    link->in_library++;
    after_library(link, mosquitto_loop_write(link->client, 1));
}

static void tick_cb(evutil_socket_t fd, short what, void *user)
{
    struct mqtt_link *link = user;
    (void)fd;
    if (link->state == STATE_WAITING)
        return;
    if (link->broken) {
        mqtt_link_settle(link);
        return;
    }
    if ((what & EV_TIMEOUT) && link->age_s < STEADY_S + 1)
        link->age_s++;
    if (link->state == STATE_CONNECTING && link->age_s > CONNACK_WAIT_S) {
        snprintf(link->why, sizeof link->why, "no %s within %d s",
                 link->client != NULL ? "answer" : "address of that name", CONNACK_WAIT_S);
        set_broken(link, MOSQ_ERR_CONN_LOST);
        mqtt_link_settle(link);
        return;
    }
    if (link->client == NULL)
        return;
    link->in_library++;
    after_library(link, mosquitto_loop_misc(link->client));
}

/* ---- connecting ---- */

static void drop_client(struct mqtt_link *link)
{
    events_free(link->readable);
    events_free(link->writable);
    link->readable = link->writable = NULL;
    if (link->client != NULL)
        mosquitto_destroy(link->client);
    link->client = NULL;
    link->queued_bytes = 0;
    memset(link->awaited, 0, sizeof link->awaited);
}

/* The connection, or the attempt, is over: tells the owner and schedules the next attempt. Never
 * called inside libmosquitto. */
static void mqtt_link_settle(struct mqtt_link *link)
{
    if (link->in_library > 0 || !link->broken)
        return;
    char why[sizeof link->why];
    memcpy(why, link->why, sizeof why);
    bool was_up = link->state == STATE_UP;
    if (was_up && link->age_s >= STEADY_S)
        link->pause_ms = PAUSE_MIN_MS;
    drop_client(link);
    mqtt_host_cancel(link->at);
    link->state = STATE_WAITING;
    link->broken = false;
    link->why[0] = '\0';
    uint32_t random;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    unsigned pause_ms = link->pause_ms / 2 + random % (link->pause_ms / 2 + 1);
    events_arm(link->retry, pause_ms);
    link->pause_ms = link->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : link->pause_ms * 2;

    if (!link->config.quiet && (was_up || strcmp(why, link->said) != 0))
        log_line(LOG_LEVEL_WARNING, was_up ? "broker lost" : "broker away",
                 "host=%s port=%d reason=%s", link->config.host, link->config.port, why);
    memcpy(link->said, why, sizeof why);
    if (was_up && link->config.on_down != NULL)
        link->config.on_down(link->config.user, why);
}

static int make_client(struct mqtt_link *link)
{
    const struct mqtt_link_config *config = &link->config;
    struct mosquitto *client = mosquitto_new(config->client_id, true, link);
    if (client == NULL)
        return MOSQ_ERR_NOMEM;
    link->client = client;
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_publish_v5_callback_set(client, on_publish);
    int rc = MOSQ_ERR_SUCCESS;
    if (config->username != NULL)
        rc = mosquitto_username_pw_set(client, config->username, config->password);
    if (rc == MOSQ_ERR_SUCCESS && config->will_topic != NULL)
        rc = mosquitto_will_set(client, config->will_topic, (int)strlen(config->will_payload),
                                config->will_payload, 0, true);
    return rc;
}

static int watch_socket(struct mqtt_link *link)
{
    int sock = mosquitto_socket(link->client);
    if (sock == -1)
        return MOSQ_ERR_NO_CONN;
    link->readable = event_new(link->base, sock, EV_READ | EV_PERSIST, readable_cb, link);
    link->writable = event_new(link->base, sock, EV_WRITE, writable_cb, link);
    return link->readable == NULL || link->writable == NULL ||
                   event_add(link->readable, NULL) != 0 || event_add(link->writable, NULL) != 0
               ? MOSQ_ERR_NOMEM
               : MOSQ_ERR_SUCCESS;
}

static void on_address(void *user, const char *address, const char *why)
{
    struct mqtt_link *link = user;
    int rc = MOSQ_ERR_EAI;
    if (address == NULL)
        snprintf(link->why, sizeof link->why, "%s", why);
    link->age_s = 0; /* the broker's own time begins */
    link->in_library++;
    if (address != NULL)
        rc = make_client(link);
    if (rc == MOSQ_ERR_SUCCESS) /* does not wait for the connection */
        rc = mosquitto_connect_async(link->client, address, link->config.port, KEEPALIVE_S);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = watch_socket(link);
    link->in_library--;
    if (rc != MOSQ_ERR_SUCCESS)
        set_broken(link, rc);
    mqtt_link_settle(link);
}

static void attempt_cb(evutil_socket_t fd, short what, void *user)
{
    struct mqtt_link *link = user;
    (void)fd;
    (void)what;
    link->state = STATE_CONNECTING;
    link->age_s = 0;
    mqtt_host_ask(link->at);
}

/* ---- the contract ---- */

static char *mqtt_link_copy(const char *text, bool *failed)
{
    if (text == NULL)
        return NULL;
    char *made = strdup(text);
    *failed = *failed || made == NULL;
    return made;
}

static void free_config(struct mqtt_link_config *config)
{
    if (config->password != NULL)
        explicit_bzero((char *)config->password, strlen(config->password));
    free((char *)config->host);
    free((char *)config->client_id);
    free((char *)config->username);
    free((char *)config->password);
    free((char *)config->will_topic);
    free((char *)config->will_payload);
}

static void free_link(struct mqtt_link *link)
{
    drop_client(link);
    mqtt_host_free(link->at);
    events_free(link->tick);
    events_free(link->retry);
    free_config(&link->config);
    free(link);
    mosquitto_lib_cleanup();
}

struct mqtt_link *mqtt_link_new(struct event_base *base, const struct mqtt_link_config *config)
{
    struct mqtt_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        free(link);
        return NULL;
    }
    bool failed = false;
    link->base = base;
    link->pause_ms = PAUSE_MIN_MS;
    link->config = *config;
    link->config.host = mqtt_link_copy(config->host, &failed);
    link->config.client_id = mqtt_link_copy(config->client_id, &failed);
    link->config.username = mqtt_link_copy(config->username, &failed);
    link->config.password = mqtt_link_copy(config->password, &failed);
    link->config.will_topic = mqtt_link_copy(config->will_topic, &failed);
    link->config.will_payload = mqtt_link_copy(config->will_payload, &failed);
    if (!failed)
        link->at = mqtt_host_new(base, link->config.host, on_address, link);
    link->tick = event_new(base, -1, EV_PERSIST, tick_cb, link);
    link->retry = evtimer_new(base, attempt_cb, link);
    if (link->at == NULL || link->tick == NULL || link->retry == NULL ||
        events_arm(link->tick, 1000) != 0 || events_arm(link->retry, 0) != 0) {
        free_link(link);
        return NULL;
    }
    return link;
}

/* Stops all callbacks to the owner. */
static struct mosquitto *silenced(struct mosquitto *client)
{
    mosquitto_connect_v5_callback_set(client, NULL);
    mosquitto_disconnect_v5_callback_set(client, NULL);
    mosquitto_message_v5_callback_set(client, NULL);
    mosquitto_publish_v5_callback_set(client, NULL);
    return client;
}

void mqtt_link_free(struct mqtt_link *link)
{
    if (link == NULL)
        return;
    if (link->state == STATE_UP && !link->broken)
        mqtt_goodbye_say(silenced(link->client));
    free_link(link);
}

int mqtt_link_set_password(struct mqtt_link *link, const char *password)
{
    if (strcmp(password, link->config.password) == 0)
        return 0;
    char *own = strdup(password);
    if (own == NULL)
        return -1;
    explicit_bzero((char *)link->config.password, strlen(link->config.password));
    free((char *)link->config.password);
    link->config.password = own;
    link->pause_ms = PAUSE_MIN_MS;
    if (link->state == STATE_WAITING)
        events_arm(link->retry, 0);
    if (link->client == NULL || link->broken)
        return 1;
    snprintf(link->why, sizeof link->why, "reconnecting with the new secret");
    link->in_library++; /* callbacks made meanwhile are noted, and settled later */
    if (link->state == STATE_UP)
        mqtt_goodbye_say(link->client);
    link->in_library--;
    set_broken(link, 0);
    event_active(link->tick, 0, 0);
    return 1;
}

bool mqtt_link_up(const struct mqtt_link *link)
{
    return link->state == STATE_UP && !link->broken;
}

const char *mqtt_link_why(const struct mqtt_link *link)
{
    return mqtt_link_up(link) ? "" : link->said;
}

bool mqtt_link_backed_up(const struct mqtt_link *link)
{
    return mqtt_link_up(link) && link->queued_bytes > BACKED_UP_BYTES &&
           mosquitto_want_write(link->client);
}

bool mqtt_link_written(const struct mqtt_link *link)
{
    return !mqtt_link_up(link) || !mosquitto_want_write(link->client);
}

/* Called after a publish or subscribe. Makes no callbacks, because the caller may be anywhere. */
static int after_sending(struct mqtt_link *link, int rc)
{
    if (rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO ||
        mosquitto_socket(link->client) == -1) {
        set_broken(link, rc);
        event_active(link->tick, 0, 0);
        return -1;
    }
    watch_writes(link);
    return rc == MOSQ_ERR_SUCCESS ? 0 : -1;
}

int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t bytes,
                      int qos, bool retain, const mosquitto_property *properties, int *mid)
{
    if (!mqtt_link_up(link) || bytes > INT32_MAX)
        return -1;
    int sent = 0;
    int rc = mosquitto_publish_v5(link->client, &sent, topic, (int)bytes, payload, qos, retain,
                                  properties);
    if (rc == MOSQ_ERR_SUCCESS) {
        link->queued_bytes += strlen(topic) + bytes + 8;
        if (qos > 0)
            awaited_set(link, sent); /* its PUBACK cannot have been read yet */
        if (mid != NULL)
            *mid = sent;
    }
    return after_sending(link, rc);
}

int mqtt_link_subscribe_with(struct mqtt_link *link, const char *filter, int qos, int options)
{
    if (!mqtt_link_up(link))
        return -1;
    return after_sending(link,
                         mosquitto_subscribe_v5(link->client, NULL, filter, qos, options, NULL));
}

int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos)
{
    return mqtt_link_subscribe_with(link, filter, qos, 0);
}

int mqtt_link_subscribe_others(struct mqtt_link *link, const char *filter, int qos)
{
    return mqtt_link_subscribe_with(link, filter, qos, MQTT_SUB_OPT_NO_LOCAL);
}

int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter)
{
    if (!mqtt_link_up(link))
        return -1;
    return after_sending(link, mosquitto_unsubscribe_v5(link->client, NULL, filter, NULL));
}
