/* Two facts that the broker does not expose to plugins: how long it keeps a session, and a
 * connection's socket with the packet being received. They are read in its struct mosquitto, whose
 * beginning was compared in 2.0.11, 2.0.21, 2.1.2 and the branch of 2.1.3
 * (lib/mosquitto_internal.h). Everything read is first verified against the broker's own functions;
 * if it does not match, nothing is found. Pure except for the socket; one thread. */
#ifndef TALLY_BROKER_PLUGIN_PEEK_H
#define TALLY_BROKER_PLUGIN_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the broker's functions return for a client: the very pointers. */
struct peek_client {
    const char *address, *id, *username, *password;
    int keepalive;
};

/* The packet that the broker is reading or processing. */
struct peek_packet {
    const uint8_t *payload; /* what follows the fixed header */
    uint32_t bytes;         /* its length when complete */
    uint32_t missing;       /* of these, not received yet */
    uint16_t keepalive;     /* of the client */
    uint8_t command;        /* the fixed header's first byte; 0: no packet has begun */
};

/* How the broker lays out what follows the pointers to address, id, username and password. */
enum peek_layout {
    PEEK_2_0,
    PEEK_2_1,
    PEEK_2_1_3, /* it also stores the password's length */
};

/* Where packets are in a client's memory, the same for all clients. */
struct peek_place {
    size_t offset; /* 0: unknown */
    enum peek_layout layout;
};

/* Finds the CONNECT that the broker is processing, and its place. `mosquitto_2_1`: try the layouts
 * of 2.1. False: the memory is not laid out as expected; `place` keeps its value. */
bool peek_connect(const void *client, const struct peek_client *known, bool mosquitto_2_1,
                  struct peek_place *place, struct peek_packet *packet);

/* The packet at a place that peek_connect found. */
void peek_at(const void *client, const struct peek_place *place, struct peek_packet *packet);

/* For how many seconds a CONNECT asks to keep its session: 0, unless it is MQTT 5 and says so. */
uint32_t peek_session_expiry(const struct peek_packet *connect);

/* Bytes received so far of an incomplete packet of a type that plugins are told about. */
uint32_t peek_pending(const struct peek_packet *packet);

/* The descriptor of a connected client, not verified yet. */
int peek_socket(const void *client);

#endif
