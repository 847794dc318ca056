/* The bytes of MQTT 3.1.1 and 5 that a publisher of reactions and a counting subscriber need, and
 * no more: a client library would be the bottleneck of what is measured. After OASIS MQTT 3.1.1
 * and 5.0, chapters 2 and 3. Pure; any thread. Writers return the bytes written, 0 if they do
 * not fit. */
#ifndef TALLY_BENCH_WIRE_H
#define TALLY_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_version { WIRE_311 = 4, WIRE_5 = 5 }; /* the protocol level byte of CONNECT */

enum wire_type {
    WIRE_CONNACK = 2,
    WIRE_PUBLISH = 3,
    WIRE_PUBACK = 4,
    WIRE_SUBACK = 9,
    WIRE_PINGRESP = 13,
    WIRE_DISCONNECT = 14,
};

#define WIRE_FAILED 0x80 /* reason codes from here on are refusals */

struct wire_login {
    enum wire_version version;
    const char *client_id;
    const char *username; /* NULL none */
    const char *password; /* NULL none */
};

/* CONNECT: a clean session, no keep-alive, no will. */
size_t wire_connect(unsigned char *out, size_t room, const struct wire_login *login);

struct wire_message {
    const char *topic;
    size_t topic_bytes;
    const char *payload;
    size_t payload_bytes;
    int qos;     /* 0 or 1 */
    uint16_t id; /* at QoS 1, not 0 */
    bool retain;
};

size_t wire_publish(unsigned char *out, size_t room, enum wire_version version,
                    const struct wire_message *message);
size_t wire_subscribe(unsigned char *out, size_t room, enum wire_version version, uint16_t id,
                      const char *filter, int qos);
size_t wire_puback(unsigned char *out, size_t room, uint16_t id);
size_t wire_pingreq(unsigned char *out, size_t room);
size_t wire_disconnect(unsigned char *out, size_t room);

/* A packet in the caller's buffer. */
struct wire_frame {
    int type;                  /* enum wire_type, or another */
    int flags;                 /* the low four bits of the first byte */
    const unsigned char *body; /* behind the remaining length */
    size_t body_bytes;
    size_t bytes; /* of the whole packet */
};

/* Returns 1 where a whole packet begins at `in`, 0 where more bytes are needed, -1 where its length
 * is malformed. */
int wire_frame(const unsigned char *in, size_t bytes, struct wire_frame *out);

/* The reason (return code) of a CONNACK and its Receive Maximum (65535 where it names none). -1
 * if it is malformed. */
int wire_read_connack(const struct wire_frame *frame, enum wire_version version, int *reason,
                      unsigned *receive_maximum);

/* Packet id and reason (0 in 3.1.1) of a PUBACK. -1 if it is malformed. */
int wire_read_puback(const struct wire_frame *frame, uint16_t *id, int *reason);

/* The first reason of a SUBACK. -1 if it is malformed. */
int wire_read_suback(const struct wire_frame *frame, enum wire_version version, int *reason);

/* QoS, and packet id where QoS is not 0, of a PUBLISH. -1 if it is malformed. */
int wire_read_publish(const struct wire_frame *frame, int *qos, uint16_t *id);

/* All of a PUBLISH; topic and payload point into the frame. -1 if it is malformed. */
int wire_read_message(const struct wire_frame *frame, enum wire_version version,
                      struct wire_message *out);

#endif
