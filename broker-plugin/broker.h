/* Mosquitto's headers, of 2.0 or of 2.1, its log, and the clocks of its thread. Only files that
 * include this depend on the broker. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_BROKER_H
#define TALLY_BROKER_PLUGIN_BROKER_H

#include "core/limit.h"

#include <stdint.h>
#include <time.h>

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

/* Now, from a clock that nobody sets; and since 1970. Of the vDSO: no system call. */
static inline uint64_t broker_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * LIMIT_SECOND_NS + (uint64_t)now.tv_nsec;
}

static inline uint64_t broker_unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

#endif
