/* The address at which a broker is tried next. A name is resolved without blocking the loop
 * (names.h), and its addresses take turns: libmosquitto would resolve it in the loop, and try the
 * first address alone. Loop thread only. */
#ifndef TALLY_DAEMON_MQTT_HOST_H
#define TALLY_DAEMON_MQTT_HOST_H

#include <event2/event.h>

struct mqtt_host;

/* `address` is a numeric address; NULL: there is none, and `why` is the reason. Both are valid only
 * during the call. */
typedef void mqtt_host_cb(void *user, const char *address, const char *why);

/* `host` is a name or an address; it is copied. NULL when out of memory or descriptors. */
struct mqtt_host *mqtt_host_new(struct event_base *base, const char *host, mqtt_host_cb *fn,
                                void *user);
void mqtt_host_free(struct mqtt_host *at);

/* Calls back once: at once if `host` is an address or no lookup can be begun, else from the loop.
 * A further call before that changes nothing. */
void mqtt_host_ask(struct mqtt_host *at);

/* Prevents the call. The answer, if it comes soon, is used by the next mqtt_host_ask. */
void mqtt_host_cancel(struct mqtt_host *at);

#endif
