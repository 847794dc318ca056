/* Mosquitto's headers, of 2.0 or of 2.1, what differs between the two brokers, the broker's log,
 * and the clocks of its thread. A plugin built with either's headers works in both brokers. Only
 * files that include this depend on the broker. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_BROKER_H
#define TALLY_BROKER_PLUGIN_BROKER_H

#include "core/limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <mosquitto.h>
#if __has_include(<mosquitto/broker.h>)
#define BROKER_HEADERS "2.1"
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#else
#define BROKER_HEADERS "2.0"
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#endif

/* Events and codes of 2.1 that the headers of 2.0 lack. */
#define BROKER_EVT_CONNECT 11
#define BROKER_EVT_CLIENT_OFFLINE 28
#define BROKER_ERR_QUOTA_EXCEEDED (-6)
#define BROKER_ERR_CONNECTION_RATE_EXCEEDED 159

/* The code that ends a connection because an administrator says so. */
static inline int broker_ends(bool mosquitto_2_1)
{
    return mosquitto_2_1 ? 152 : 30;
}

/* The data of BROKER_EVT_CONNECT, and what those of DISCONNECT and CLIENT_OFFLINE begin with. */
struct broker_evt_client {
    void *future;
    struct mosquitto *client;
};

/* The data of TICK in 2.1, which 2.0 lays out alike with another unit. */
struct broker_evt_tick {
    void *future;
    long now_ns;
    long next_ms;
};

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
