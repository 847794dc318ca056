/* The topics, and their numbers in decimal digits. */
#include "broker_stats.h"

#include <string.h>

#define DIGITS_MAX 18

const char *broker_stats_topic(enum broker_stat stat)
{
    static const char *const topics[BROKER_STATS_COUNT] = {
        [BROKER_STATS_CLIENTS] = "$SYS/broker/clients/connected",
        [BROKER_STATS_RECEIVED_BYTES] = "$SYS/broker/bytes/received",
        [BROKER_STATS_SENT_BYTES] = "$SYS/broker/bytes/sent",
        [BROKER_STATS_RECEIVED_MESSAGES] = "$SYS/broker/publish/messages/received",
        [BROKER_STATS_SENT_MESSAGES] = "$SYS/broker/publish/messages/sent",
        [BROKER_STATS_DROPPED_MESSAGES] = "$SYS/broker/publish/messages/dropped",
    };
    return topics[stat];
}

void broker_stats_hear(struct broker_stats *stats, const char *topic, const char *payload,
                       size_t bytes)
{
    double value = 0;
    int stat = 0;
    while (stat < BROKER_STATS_COUNT && strcmp(topic, broker_stats_topic(stat)) != 0)
        stat++;
    if (stat == BROKER_STATS_COUNT || bytes == 0 || bytes > DIGITS_MAX)
        return;
    for (size_t i = 0; i < bytes; i++) {
        if (payload[i] < '0' || payload[i] > '9')
            return;
        value = value * 10 + (payload[i] - '0');
    }
    stats->heard[stat] = true;
    stats->value[stat] = value;
}
