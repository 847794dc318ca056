/* Bytes received on a connection's socket that belong to no packet the broker reports to plugins:
 * PINGREQ, PUBREL, PUBACK, PUBLISH to $SYS, AUTH. The kernel counts the received bytes (tcp(7),
 * TCP_INFO; Linux 4.1); the bytes of reported packets are subtracted. One thread. */
#ifndef TALLY_BROKER_PLUGIN_WIRE_H
#define TALLY_BROKER_PLUGIN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a packet takes at most in addition to its topic and payload: its header, Tally's properties,
 * and the framing of WebSocket and TLS. */
#define WIRE_PACKET_BYTES 256
#define WIRE_ACKNOWLEDGEMENTS_BYTES 128 /* for a message sent to a client: two packets */
/* The assumed size of an unexplained packet: that of a PINGREQ over WebSocket. */
#define WIRE_UNEXPLAINED_BYTES 8
#define WIRE_RECORD_BYTES 16640 /* an incomplete TLS record may hold this much */
/* Explained bytes that have not been received yet are credited up to this amount. */
#define WIRE_AHEAD_BYTES 4096

struct wire {
    int socket;         /* -1: none */
    uint32_t cookie;    /* the kernel's unique identifier of this socket */
    uint32_t explained; /* bytes of those received; modulo 2^32 */
    uint64_t bucket;    /* of unexplained packets (limit.h) */
};

/* Whether descriptors are found in the expected place. */
enum wire_proof { WIRE_UNPROVED, WIRE_PROVED, WIRE_REFUTED };

/* No socket. */
void wire_none(struct wire *wire);

/* Begins with the socket `socket`, if it is a TCP connection; everything received so far counts as
 * explained. `address`: the client's, as the broker reports it. If it is the socket's peer, that
 * proves that descriptors are found. If it is not, that refutes it, unless it was proved before, or
 * a proxy may have named another address (`named_by_proxy`). Without a proof no socket is used. */
void wire_begin(struct wire *wire, int socket, const char *address, bool named_by_proxy,
                enum wire_proof *proof);

/* This many bytes belong to a reported packet. */
static inline void wire_explain(struct wire *wire, size_t bytes)
{
    wire->explained += (uint32_t)bytes;
}

/* Whether any received bytes are unexplained; if so, also how many bytes came, and how many of them
 * the broker has not read. Also false if the socket is gone. One system call, and two more if
 * true. */
bool wire_look(struct wire *wire, uint64_t *came, uint32_t *unread);

/* Counts unexplained packets of `came` bytes, of which `pending` are unread or belong to incomplete
 * packets; all count as explained from now on. Pure. */
uint32_t wire_judge(struct wire *wire, uint64_t came, uint32_t pending);

#endif
