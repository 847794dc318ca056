/* The orderly end of a libmosquitto connection. */
#ifndef TALLY_DAEMON_MQTT_GOODBYE_H
#define TALLY_DAEMON_MQTT_GOODBYE_H

#include <mosquitto.h>

/* Reads what has come, writes the waiting bytes, then DISCONNECT, so that the broker drops the
 * will. Handles up to 1,000 packets that have come, and blocks for at most 0.5 s to write. The
 * client's callbacks are called. */
void mqtt_goodbye_say(struct mosquitto *client);

#endif
