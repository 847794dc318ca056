/* A libmosquitto connection (MQTT 5) on a libevent loop. Reconnects by itself with a growing pause
 * (0.1 to 0.5 s) and jitter. Loop thread only. Owns the mosquitto client. */
#ifndef TALLY_DAEMON_MQTT_LINK_H
#define TALLY_DAEMON_MQTT_LINK_H

#include <event2/event.h>
#include <mosquitto.h>
#include <stdbool.h>
#include <stddef.h>

struct mqtt_link;

struct mqtt_link_config {
    const char *host; /* a name or address */
    int port;
    const char *client_id; /* copied, like every string here */
    const char *username;
    const char *password;   /* from the services file */
    const char *will_topic; /* NULL none; retained, QoS 0 */
    const char *will_payload;
    void (*on_up)(void *user); /* after each CONNACK: subscribe and publish here */
    void (*on_down)(void *user, const char *why);
    void (*on_message)(void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties); /* may be NULL */
    void (*on_published)(void *user, int mid);                /* QoS 1: PUBACK came; may be NULL */
    void (*on_refused)(void *user, int mid); /* QoS 1: PUBACK refuses it; NULL: that is logged */
    bool quiet; /* that it connects is logged for debugging only, and that it cannot is not: the
                   owner reports failures */
    void *user;
};

/* Returns NULL when out of memory. Starts to connect once the loop runs. */
struct mqtt_link *mqtt_link_new(struct event_base *base, const struct mqtt_link_config *config);

/* Sends DISCONNECT (so that the will is dropped) and frees the link. */
void mqtt_link_free(struct mqtt_link *link);

/* Sets the password (copied). If it differs, sends DISCONNECT and connects with the new one;
 * on_down is called when the loop next turns. Waits up to 0.5 s for earlier publishes to go out.
 * Only for a link that has a password. Returns 1, 0 if it is the same, or -1 when out of memory. */
int mqtt_link_set_password(struct mqtt_link *link, const char *password);

bool mqtt_link_up(const struct mqtt_link *link);

/* Why the last attempt to connect failed, or the connection ended; "" while it is up, and before
 * the first attempt has failed. */
const char *mqtt_link_why(const struct mqtt_link *link);

/* Whether bytes are waiting to go out, so that the caller can hold back. Publishing never
 * blocks. */
bool mqtt_link_backed_up(const struct mqtt_link *link);

/* Whether no published message waits in this process for the socket to take it. Also true while
 * down: waiting QoS 0 messages are lost with their connection. */
bool mqtt_link_written(const struct mqtt_link *link);

/* Publishes. The caller keeps `properties`, which may be NULL; `mid` may be NULL. Returns 0, or -1
 * while down or on error. */
int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t bytes,
                      int qos, bool retain, const mosquitto_property *properties, int *mid);

int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos);

/* The same, except for messages that this connection publishes itself (MQTT 5 No Local). Retained
 * messages arrive all the same. */
int mqtt_link_subscribe_others(struct mqtt_link *link, const char *filter, int qos);

/* The same as mqtt_link_subscribe, with MQTT 5's subscription options (MQTT_SUB_OPT_…). */
int mqtt_link_subscribe_with(struct mqtt_link *link, const char *filter, int qos, int options);

int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter);

#endif
