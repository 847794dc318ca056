/* What Mosquitto says about itself under $SYS/broker/ (its option sys_interval; 0 is off). Pure;
 * one thread. */
#ifndef TALLY_FEED_BROKER_STATS_H
#define TALLY_FEED_BROKER_STATS_H

#include <stdbool.h>
#include <stddef.h>

enum broker_stat {
    BROKER_STATS_CLIENTS, /* connected */
    BROKER_STATS_RECEIVED_BYTES,
    BROKER_STATS_SENT_BYTES,
    BROKER_STATS_RECEIVED_MESSAGES, /* PUBLISH alone, as for the next */
    BROKER_STATS_SENT_MESSAGES,
    BROKER_STATS_DROPPED_MESSAGES,
    BROKER_STATS_COUNT
};

/* Zeroed: nothing is heard. All but the clients count since the broker started. */
struct broker_stats {
    bool heard[BROKER_STATS_COUNT];
    double value[BROKER_STATS_COUNT];
};

/* The topic to subscribe to. It has no topic prefix. */
const char *broker_stats_topic(enum broker_stat stat);

/* Takes a message. One on another topic, or without a number, changes nothing. */
void broker_stats_hear(struct broker_stats *stats, const char *topic, const char *payload,
                       size_t bytes);

#endif
