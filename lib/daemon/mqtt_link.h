/* A libmosquitto connection (MQTT 5) on a libevent loop, which reconnects by itself with a growing
 * pause (0.1 to 5 s) and jitter. Loop thread only. Owns the mosquitto client. */
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
    const char *client_id; /* copied, as all strings here */
    const char *username;
    const char *password;   /* out of the services file */
    const char *will_topic; /* NULL none; retained, QoS 0 */
    const char *will_payload;
    void (*on_up)(void *user); /* after each CONNACK: subscribe and publish here */
    void (*on_down)(void *user, const char *why);
    void (*on_message)(void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties); /* may be NULL */
    void (*on_published)(void *user, int mid);                /* QoS 1: PUBACK came; may be NULL */
    void *user;
};

/* NULL on no memory. Begins to connect once the loop runs. */
struct mqtt_link *mqtt_link_new(struct event_base *base, const struct mqtt_link_config *config);

/* Says DISCONNECT (so that the will is dropped) and frees. */
void mqtt_link_free(struct mqtt_link *link);

/* Another password from now on (copied): where it is another, says DISCONNECT and connects with it;
 * on_down comes when the loop turns. Waits up to 0.5 s for what was published before to go out.
 * Only for a link that has one. Returns 1, 0 where it is the same, or -1 on no memory. */
int mqtt_link_set_password(struct mqtt_link *link, const char *password);

bool mqtt_link_up(const struct mqtt_link *link);

/* Bytes waiting to go out, so that the caller can hold back; publishing never blocks. */
bool mqtt_link_backed_up(const struct mqtt_link *link);

/* Nothing that was published waits in this process for the socket to take it; also while down, as
 * what waited at QoS 0 is lost with its connection. */
bool mqtt_link_written(const struct mqtt_link *link);

/* Publishes. `properties` stays the caller's, may be NULL; *mid may be NULL. Returns 0, or -1 while
 * down or on error. */
int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t bytes,
                      int qos, bool retain, const mosquitto_property *properties, int *mid);

int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos);

/* The same, but for what this connection publishes itself (MQTT 5 No Local). What is retained comes
 * all the same. */
int mqtt_link_subscribe_others(struct mqtt_link *link, const char *filter, int qos);

int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter);

#endif
