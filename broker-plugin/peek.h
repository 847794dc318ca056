/* Two things that the broker tells no plugin, read in its struct mosquitto, whose beginning was
 * compared in 2.0.11, 2.0.21 and 2.1.2 (lib/mosquitto_internal.h): for how long a session is to be
 * kept, and the socket of a connection with the packet that comes over it. Whatever is read is
 * proved first by what the broker's own functions say; where it does not fit, nothing is found.
 * Pure but for the socket; one thread. */
#ifndef TALLY_BROKER_PLUGIN_PEEK_H
#define TALLY_BROKER_PLUGIN_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the broker's functions say of a client: the very pointers. */
struct peek_client {
    const char *address, *id, *username, *password;
    int keepalive;
};

/* The packet that the broker is reading, or working at. */
struct peek_packet {
    const uint8_t *payload; /* what follows the fixed header */
    uint32_t bytes;         /* of it, when it is whole */
    uint32_t missing;       /* of these, not there yet */
    uint16_t keepalive;     /* of the client */
    uint8_t command;        /* the fixed header's first byte; 0: no packet has begun */
};

/* Finds the CONNECT that the broker is working at. `mosquitto_2_1`: as 2.1 lays it out. Returns
 * where such packets are in a client's memory, the same for all clients, or 0: the memory is not
 * laid out as it should be. */
size_t peek_connect(const void *client, const struct peek_client *known, bool mosquitto_2_1,
                    struct peek_packet *packet);

/* The packet at a place that peek_connect has returned. */
void peek_at(const void *client, size_t place, bool mosquitto_2_1, struct peek_packet *packet);

/* For how many seconds a CONNECT wants its session kept: 0, unless it is of MQTT 5 and says so. */
uint32_t peek_session_expiry(const struct peek_packet *connect);

/* How many bytes have come of a packet that is not whole, and that plugins are told of. */
uint32_t peek_pending(const struct peek_packet *packet);

/* The descriptor of a connected client, which is not proved yet. */
int peek_socket(const void *client);

#endif
