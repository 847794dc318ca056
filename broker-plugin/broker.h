/* Mosquitto's headers, of 2.0 or of 2.1, and its log. Only files that include this depend on the
 * broker. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_BROKER_H
#define TALLY_BROKER_PLUGIN_BROKER_H

#include <mosquitto.h>
#if __has_include(<mosquitto/broker.h>)
#define MOSQUITTO_2_1 1
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#else
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#endif

/* Writes a logfmt line to the broker's log; `format` produces its pairs. `level`: MOSQ_LOG_ERR,
 * MOSQ_LOG_WARNING or MOSQ_LOG_NOTICE. */
void broker_say(int level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
