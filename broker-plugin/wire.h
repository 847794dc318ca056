/* What came over a connection's socket and was of no packet that the broker tells its plugins of:
 * PINGREQ, PUBREL, PUBACK, PUBLISH to $SYS, AUTH. The kernel counts the bytes that came (tcp(7),
 * TCP_INFO; Linux 4.1); the bytes of the packets that were told of are taken off. One thread. */
#ifndef TALLY_BROKER_PLUGIN_WIRE_H
#define TALLY_BROKER_PLUGIN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a packet takes at most beside its topic and payload: its header, properties of Tally's, and
 * what WebSocket and TLS put around it. */
#define WIRE_PACKET_BYTES 256
#define WIRE_ACKNOWLEDGEMENTS_BYTES 128 /* of a message that is sent to a client: two packets */
/* An unexplained packet is taken for so long: PINGREQ over WebSocket is. */
#define WIRE_UNEXPLAINED_BYTES 8
#define WIRE_RECORD_BYTES 16640 /* a TLS record that is not whole may hold so much */
/* What was explained, and has not come yet, counts up to here. */
#define WIRE_AHEAD_BYTES 4096

struct wire {
    int socket;         /* -1: none */
    uint32_t cookie;    /* by which the kernel tells this socket from all others */
    uint32_t explained; /* bytes, of what came; modulo 2^32 */
    uint64_t bucket;    /* of unexplained packets (limit.h) */
};

/* Whether descriptors are found where they are looked for. */
enum wire_proof { WIRE_UNPROVED, WIRE_PROVED, WIRE_REFUTED };

/* No socket. */
void wire_none(struct wire *wire);

/* Begins with the socket `socket`, where it is a TCP connection; what has come so far is explained.
 * `address`: the client's, as the broker says it. One that is the socket's peer proves that
 * descriptors are found; one that is not refutes it, unless it was proved, or the address may be
 * what a proxy says of another (`named_by_proxy`). Without a proof there is no socket. */
void wire_begin(struct wire *wire, int socket, const char *address, bool named_by_proxy,
                enum wire_proof *proof);

/* So many bytes belong to a packet that was told of. */
static inline void wire_explain(struct wire *wire, size_t bytes)
{
    wire->explained += (uint32_t)bytes;
}

/* Whether something that came is unexplained: then also how many bytes came, and how many of them
 * the broker has not read. False where the socket has gone, too. A system call, and two more where
 * true. */
bool wire_look(struct wire *wire, uint64_t *came, uint32_t *unread);

/* Unexplained packets of `came` bytes, of which `pending` belong to packets that are not whole or
 * not read yet; they count as explained from now on. Pure. */
uint32_t wire_judge(struct wire *wire, uint64_t came, uint32_t pending);

#endif
