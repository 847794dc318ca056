/* Finds a client's CONNECT and socket in the broker's memory, and verifies them before use. */
#include "peek.h"

#include <string.h>
#include <time.h>

#define CONNECT 0x10
#define PUBLISH 0x30
#define SUBSCRIBE 0x80
#define UNSUBSCRIBE 0xa0
#define VERSION_BYTE 6
#define HEAD_BYTES 10 /* of CONNECT: "MQTT" with its length, version, flags, keepalive */
#define SESSION_EXPIRY 0x11
/* Where to look for the pointers: 2.1 has WebSocket data before them. */
#define FIRST_BYTE 16
#define LAST_BYTE 192

/* What follows the pointers to address, id, username and password. */
struct behind_2_0 {
    uint16_t keepalive, last_mid;
    int state;
    time_t last_msg_in, next_msg_out, ping_t;
    const uint8_t *payload;
    const void *next;
    uint32_t remaining_mult, remaining_length, packet_length, to_process, pos;
    uint16_t mid;
    uint8_t command;
};

struct packet_2_1 {
    const uint8_t *payload;
    uint32_t remaining_mult, remaining_length, packet_length, to_process, pos;
    uint16_t to_process_of_buffer, pos_of_buffer, size_of_buffer;
    uint8_t command;
};

struct behind_2_1 {
    unsigned id_hashv;
    uint16_t keepalive, last_mid;
    int state;
    uint8_t transport;
    time_t last_msg_in, next_msg_out, ping_t;
    struct packet_2_1 packet;
};

struct behind_2_1_3 {
    unsigned id_hashv;
    uint16_t keepalive, last_mid, password_bytes;
    int state;
    uint8_t transport;
    time_t last_msg_in, next_msg_out, ping_t;
    struct packet_2_1 packet;
};

static size_t behind_pointers(const void *client, const struct peek_client *known)
{
    const char *const wanted[] = {known->address, known->id, known->username, known->password};

    if (known->address == NULL || known->id == NULL)
        return 0;
    for (size_t at = FIRST_BYTE; at <= LAST_BYTE; at += sizeof wanted[0])
        if (memcmp((const unsigned char *)client + at, wanted, sizeof wanted) == 0)
            return at + sizeof wanted;
    return 0;
}

static void peek_at_2_0(const unsigned char *behind, struct peek_packet *packet)
{
    struct behind_2_0 old;

    memcpy(&old, behind, sizeof old);
    *packet = (struct peek_packet){old.payload, old.remaining_length, old.to_process, old.keepalive,
                                   old.command};
}

static void peek_at_2_1(const unsigned char *behind, size_t offset, struct peek_packet *packet)
{
    struct packet_2_1 new;
    uint16_t keepalive;

    memcpy(&keepalive, behind + offsetof(struct behind_2_1, keepalive), sizeof keepalive);
    memcpy(&new, behind + offset, sizeof new);
    *packet = (struct peek_packet){new.payload, new.remaining_length, new.to_process, keepalive,
                                   new.command};
}

void peek_at(const void *client, const struct peek_place *place, struct peek_packet *packet)
{
    const unsigned char *behind = (const unsigned char *)client + place->offset;

    if (place->layout == PEEK_2_0)
        peek_at_2_0(behind, packet);
    else
        peek_at_2_1(behind,
                    place->layout == PEEK_2_1 ? offsetof(struct behind_2_1, packet)
                                              : offsetof(struct behind_2_1_3, packet),
                    packet);
}

/* Size of a property's value that begins at `value`; 0 if the property is not allowed in
 * CONNECT. */
static size_t value_bytes(uint8_t identifier, const uint8_t *value, size_t left)
{
    size_t first = left < 2 ? 0 : 2u + value[0] * 256u + value[1];

    switch (identifier) {
    case SESSION_EXPIRY:
    case 0x27: /* Maximum Packet Size */
        return 4;
    case 0x21: /* Receive Maximum */
    case 0x22: /* Topic Alias Maximum */
        return 2;
    case 0x17: /* Request Problem Information */
    case 0x19: /* Request Response Information */
        return 1;
    case 0x15: /* Authentication Method, Data */
    case 0x16:
        return first;
    case 0x26: /* User Property */
        return first == 0 || first + 2 > left ? 0
                                              : first + 2 + value[first] * 256u + value[first + 1];
    default:
        return 0;
    }
}

/* The length of CONNECT's properties, which follows its head. 0 and `*at` at the end if it is
 * malformed. */
static size_t properties_bytes(const struct peek_packet *packet, size_t *at)
{
    size_t bytes = 0;

    for (unsigned shift = 0; shift < 28 && *at < packet->bytes; shift += 7) {
        uint8_t byte = packet->payload[(*at)++];
        bytes |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return bytes <= packet->bytes - *at ? bytes : 0;
    }
    return 0;
}

/* Whether the payload is that of a CONNECT, of any version of the protocol. */
static bool is_connect(const struct peek_packet *packet)
{
    static const uint8_t heads[][6] = {{0, 4, 'M', 'Q', 'T', 'T'}, {0, 6, 'M', 'Q', 'I', 's'}};

    return (packet->command & 0xf0) == CONNECT && packet->payload != NULL &&
           packet->bytes > HEAD_BYTES && packet->missing == 0 &&
           (memcmp(packet->payload, heads[0], sizeof heads[0]) == 0 ||
            memcmp(packet->payload, heads[1], sizeof heads[1]) == 0);
}

/* The two layouts of 2.1 differ by the length of a pointer. So a wrong one takes the payload's
 * address for lengths, or lengths for its address: then nothing is left of the packet (`bytes`), or
 * something of it is missing, and is_connect follows no pointer. */
bool peek_connect(const void *client, const struct peek_client *known, bool mosquitto_2_1,
                  struct peek_place *place, struct peek_packet *packet)
{
    enum peek_layout first = mosquitto_2_1 ? PEEK_2_1 : PEEK_2_0;
    enum peek_layout last = mosquitto_2_1 ? PEEK_2_1_3 : PEEK_2_0;
    size_t offset = behind_pointers(client, known);

    if (offset == 0)
        return false;
    for (enum peek_layout layout = first; layout <= last; layout++) {
        struct peek_place found = {offset, layout};
        peek_at(client, &found, packet);
        /* Step by step: no pointer is followed before it is verified. */
        if (packet->keepalive == known->keepalive && is_connect(packet)) {
            *place = found;
            return true;
        }
    }
    return false;
}

uint32_t peek_session_expiry(const struct peek_packet *connect)
{
    size_t at = HEAD_BYTES;

    /* The version's first bit is a bridge's. */
    if (connect->payload[1] != 4 || (connect->payload[VERSION_BYTE] & 0x7f) != 5)
        return 0;
    size_t end = properties_bytes(connect, &at) + at;
    while (at + 1 < end) {
        uint8_t identifier = connect->payload[at++];
        const uint8_t *value = connect->payload + at;
        size_t bytes = value_bytes(identifier, value, end - at);
        if (bytes == 0 || bytes > end - at)
            return 0;
        if (identifier == SESSION_EXPIRY)
            return (uint32_t)value[0] << 24 | (uint32_t)value[1] << 16 | (uint32_t)value[2] << 8 |
                   value[3];
        at += bytes;
    }
    return 0;
}

uint32_t peek_pending(const struct peek_packet *packet)
{
    uint8_t type = packet->command & 0xf0;

    if (type != PUBLISH && type != SUBSCRIBE && type != UNSUBSCRIBE)
        return 0;
    return packet->bytes < packet->missing ? 0 : packet->bytes - packet->missing;
}

int peek_socket(const void *client)
{
    struct {
        int ident, socket;
    } first; /* with epoll, as Mosquitto is built on Linux */

    memcpy(&first, client, sizeof first);
    return first.socket;
}
