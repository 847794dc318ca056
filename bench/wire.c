/* Packs and parses the few MQTT packets that the bench needs. */
#include "wire.h"

#include <string.h>

#define LENGTH_MAX_BYTES 4 /* of a variable byte integer */
#define FIRST_CONNECT 0x10
#define FIRST_PUBLISH 0x30
#define FIRST_PUBACK 0x40
#define FIRST_SUBSCRIBE 0x82
#define FIRST_PINGREQ 0xc0
#define FIRST_DISCONNECT 0xe0
#define CLEAN 0x02
#define HAS_PASSWORD 0x40
#define HAS_USERNAME 0x80

/* Where the next byte goes; the writers know before that all of them fit. */
static void wire_put(unsigned char **at, const void *bytes, size_t n)
{
    memcpy(*at, bytes, n);
    *at += n;
}

static void put_u8(unsigned char **at, unsigned value)
{
    *(*at)++ = (unsigned char)value;
}

static void put_u16(unsigned char **at, size_t value)
{
    put_u8(at, (unsigned)(value >> 8) & 0xff);
    put_u8(at, (unsigned)value & 0xff);
}

static void put_text(unsigned char **at, const char *text, size_t bytes)
{
    put_u16(at, bytes);
    wire_put(at, text, bytes);
}

static size_t length_bytes(size_t length)
{
    return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4;
}

/* First byte and remaining length, where the whole packet fits. Returns the whole packet's bytes.
 */
static size_t wire_begin_packet(unsigned char **at, size_t room, unsigned first, size_t remaining)
{
    size_t bytes = 1 + length_bytes(remaining) + remaining;
    if (bytes > room)
        return 0;
    put_u8(at, first);
    do {
        put_u8(at, (unsigned)(remaining % 128) | (remaining > 127 ? 0x80 : 0));
        remaining /= 128;
    } while (remaining > 0);
    return bytes;
}

size_t wire_connect(unsigned char *out, size_t room, const struct wire_login *login)
{
    size_t id = strlen(login->client_id);
    size_t username = login->username == NULL ? 0 : 2 + strlen(login->username);
    size_t password = login->password == NULL ? 0 : 2 + strlen(login->password);
    size_t properties = login->version == WIRE_5 ? 1 : 0;
    size_t bytes = wire_begin_packet(&out, room, FIRST_CONNECT,
                                     10 + properties + 2 + id + username + password);
    if (bytes == 0)
        return 0;
    put_text(&out, "MQTT", 4);
    put_u8(&out, login->version);
    put_u8(&out, CLEAN | (username > 0 ? HAS_USERNAME : 0u) | (password > 0 ? HAS_PASSWORD : 0u));
    put_u16(&out, 0); /* keep-alive: none */
    if (properties > 0)
        put_u8(&out, 0);
    put_text(&out, login->client_id, id);
    if (username > 0)
        put_text(&out, login->username, username - 2);
    if (password > 0)
        put_text(&out, login->password, password - 2);
    return bytes;
}

size_t wire_publish(unsigned char *out, size_t room, enum wire_version version,
                    const struct wire_message *message)
{
    size_t id = message->qos > 0 ? 2 : 0, properties = version == WIRE_5 ? 1 : 0;
    size_t bytes = wire_begin_packet(
        &out, room, FIRST_PUBLISH | (unsigned)message->qos << 1 | (message->retain ? 1u : 0u),
        2 + message->topic_bytes + id + properties + message->payload_bytes);
    if (bytes == 0)
        return 0;
    put_text(&out, message->topic, message->topic_bytes);
    if (id > 0)
        put_u16(&out, message->id);
    if (properties > 0)
        put_u8(&out, 0);
    wire_put(&out, message->payload, message->payload_bytes);
    return bytes;
}

size_t wire_subscribe(unsigned char *out, size_t room, enum wire_version version, uint16_t id,
                      const char *filter, int qos)
{
    size_t properties = version == WIRE_5 ? 1 : 0, filter_bytes = strlen(filter);
    size_t bytes =
        wire_begin_packet(&out, room, FIRST_SUBSCRIBE, 2 + properties + 2 + filter_bytes + 1);
    if (bytes == 0)
        return 0;
    put_u16(&out, id);
    if (properties > 0)
        put_u8(&out, 0);
    put_text(&out, filter, filter_bytes);
    put_u8(&out, (unsigned)qos);
    return bytes;
}

size_t wire_puback(unsigned char *out, size_t room, uint16_t id)
{
    size_t bytes = wire_begin_packet(&out, room, FIRST_PUBACK, 2);
    if (bytes > 0)
        put_u16(&out, id);
    return bytes;
}

size_t wire_pingreq(unsigned char *out, size_t room)
{
    return wire_begin_packet(&out, room, FIRST_PINGREQ, 0);
}

size_t wire_disconnect(unsigned char *out, size_t room)
{
    return wire_begin_packet(&out, room, FIRST_DISCONNECT, 0);
}

/* A variable byte integer. Returns its bytes, 0 where more are needed, -1 where it is too long. */
static int read_length(const unsigned char *in, size_t bytes, size_t *out)
{
    size_t value = 0;
    for (size_t i = 0; i < LENGTH_MAX_BYTES; i++) {
        if (i == bytes)
            return 0;
        value |= (size_t)(in[i] & 0x7f) << (7 * i);
        if ((in[i] & 0x80) == 0) {
            *out = value;
            return (int)i + 1;
        }
    }
    return -1;
}

int wire_frame(const unsigned char *in, size_t bytes, struct wire_frame *out)
{
    size_t remaining;
    if (bytes < 2)
        return 0;
    int n = read_length(in + 1, bytes - 1, &remaining);
    if (n <= 0)
        return n;
    out->type = in[0] >> 4;
    out->flags = in[0] & 0x0f;
    out->body = in + 1 + n;
    out->body_bytes = remaining;
    out->bytes = 1 + (size_t)n + remaining;
    return out->bytes <= bytes ? 1 : 0;
}

static uint16_t get_u16(const unsigned char *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

/* The bytes of a property of CONNACK behind its identifier (MQTT 5, 2.2.2.2), 0 where it is unknown
 * or cut. */
static size_t property_bytes(unsigned identifier, const unsigned char *in, size_t bytes)
{
    size_t n = 0;
    switch (identifier) {
    case 0x24: /* Maximum QoS */
    case 0x25: /* Retain Available */
    case 0x28: /* Wildcard Subscription Available */
    case 0x29: /* Subscription Identifiers Available */
    case 0x2a: /* Shared Subscription Available */
        n = 1;
        break;
    case 0x13: /* Server Keep Alive */
    case 0x21: /* Receive Maximum */
    case 0x22: /* Topic Alias Maximum */
        n = 2;
        break;
    case 0x11: /* Session Expiry Interval */
    case 0x27: /* Maximum Packet Size */
        n = 4;
        break;
    case 0x12: /* Assigned Client Identifier */
    case 0x15: /* Authentication Method */
    case 0x16: /* Authentication Data */
    case 0x1a: /* Response Information */
    case 0x1c: /* Server Reference */
    case 0x1f: /* Reason String */
        n = bytes < 2 ? 0 : 2 + (size_t)get_u16(in);
        break;
    case 0x26: /* User Property: two texts */
        n = bytes < 2 ? 0 : 2 + (size_t)get_u16(in);
        n = n == 0 || bytes < n + 2 ? 0 : n + 2 + (size_t)get_u16(in + n);
        break;
    default:
        break;
    }
    return n <= bytes ? n : 0;
}

int wire_read_connack(const struct wire_frame *frame, enum wire_version version, int *reason,
                      unsigned *receive_maximum)
{
    size_t length;
    *receive_maximum = 65535;
    if (frame->type != WIRE_CONNACK || frame->body_bytes < 2)
        return -1;
    *reason = frame->body[1];
    if (version != WIRE_5 || frame->body_bytes == 2)
        return 0;
    int n = read_length(frame->body + 2, frame->body_bytes - 2, &length);
    if (n <= 0 || length != frame->body_bytes - 2 - (size_t)n)
        return -1;
    const unsigned char *at = frame->body + 2 + n, *end = at + length;
    while (at < end) {
        size_t bytes = property_bytes(at[0], at + 1, (size_t)(end - at) - 1);
        if (bytes == 0)
            return -1;
        if (at[0] == 0x21)
            *receive_maximum = get_u16(at + 1);
        at += 1 + bytes;
    }
    return 0;
}

int wire_read_puback(const struct wire_frame *frame, uint16_t *id, int *reason)
{
    if (frame->type != WIRE_PUBACK || frame->body_bytes < 2)
        return -1;
    *id = get_u16(frame->body);
    *reason = frame->body_bytes > 2 ? frame->body[2] : 0;
    return 0;
}

int wire_read_suback(const struct wire_frame *frame, enum wire_version version, int *reason)
{
    size_t length = 0;
    int n = 0;
    if (frame->type != WIRE_SUBACK || frame->body_bytes < 3)
        return -1;
    if (version == WIRE_5)
        n = read_length(frame->body + 2, frame->body_bytes - 2, &length);
    size_t at = 2 + (size_t)n + length;
    if (n < 0 || (version == WIRE_5 && n == 0) || at >= frame->body_bytes)
        return -1;
    *reason = frame->body[at];
    return 0;
}

int wire_read_publish(const struct wire_frame *frame, int *qos, uint16_t *id)
{
    if (frame->type != WIRE_PUBLISH || frame->body_bytes < 2)
        return -1;
    *qos = frame->flags >> 1 & 3;
    *id = 0;
    if (*qos == 0)
        return 0;
    size_t at = 2 + (size_t)get_u16(frame->body);
    if (*qos > 2 || at + 2 > frame->body_bytes)
        return -1;
    *id = get_u16(frame->body + at);
    return 0;
}

int wire_read_message(const struct wire_frame *frame, enum wire_version version,
                      struct wire_message *out)
{
    size_t properties = 0;
    int n = 0;
    if (wire_read_publish(frame, &out->qos, &out->id) != 0)
        return -1;
    out->topic_bytes = get_u16(frame->body);
    size_t at = 2 + out->topic_bytes + (out->qos > 0 ? 2 : 0);
    if (at > frame->body_bytes)
        return -1;
    if (version == WIRE_5) {
        n = read_length(frame->body + at, frame->body_bytes - at, &properties);
        if (n <= 0 || properties > frame->body_bytes - at - (size_t)n)
            return -1;
    }
    at += (size_t)n + properties;
    out->topic = (const char *)frame->body + 2;
    out->payload = (const char *)frame->body + at;
    out->payload_bytes = frame->body_bytes - at;
    out->retain = (frame->flags & 1) != 0;
    return 0;
}
