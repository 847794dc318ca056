/* Reads MQTT 5 properties without a copy. The broker's public reader
 * (mosquitto_property_read_string, _binary) allocates, and 2.0 does not guarantee it to plugins;
 * admission must not allocate. So this reads Mosquitto's struct mqtt5__property directly. The part
 * used here is the same from 2.0.0 to 2.1.2 (lib/property_mosq.h, libcommon/property_common.h);
 * property_fits verifies it at start. Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_PROPERTY_H
#define TALLY_BROKER_PLUGIN_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>

struct property_view {
    const char *response_topic; /* NULL: none */
    size_t response_topic_bytes;
    const unsigned char *correlation; /* NULL: none */
    size_t correlation_bytes;
};

/* Finds the two relevant properties in a list of the broker's (a mosquitto_property *, NULL:
 * empty). The results live as long as the list. */
void property_find(const void *list, struct property_view *view);

/* Whether a list that the broker built from this response topic and these 4 bytes of correlation
 * data, in this order, reads back the same. */
bool property_fits(const void *list, const char *response_topic,
                   const unsigned char correlation[4]);

#endif
