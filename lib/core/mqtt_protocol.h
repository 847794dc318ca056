/* MQTT's property and reason codes, out of the header that libmosquitto's version has them in. */
#ifndef TALLY_CORE_MQTT_PROTOCOL_H
#define TALLY_CORE_MQTT_PROTOCOL_H

#include <mosquitto.h>
#if !__has_include(<mosquitto/mqtt_protocol.h>) /* of 2.1, whose mosquitto.h has it all */
#include <mqtt_protocol.h>
#endif

#endif
