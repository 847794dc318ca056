/* MQTT's property and reason codes, from whichever header the installed libmosquitto has them
 * in. */
#ifndef TALLY_CORE_MQTT_PROTOCOL_H
#define TALLY_CORE_MQTT_PROTOCOL_H

#include <mosquitto.h>
#if !__has_include(<mosquitto/mqtt_protocol.h>) /* 2.1 has all of it in mosquitto.h */
#include <mqtt_protocol.h>
#endif

#endif
