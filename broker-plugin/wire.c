/* Compares the bytes that a socket received with those of the packets that events reported. */
#include "wire.h"

#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

void wire_none(struct wire *wire)
{
    *wire = (struct wire){.socket = -1};
}

static bool cookie_of(int socket, uint32_t *cookie)
{
    uint64_t whole;
    socklen_t bytes = sizeof whole;

    if (getsockopt(socket, SOL_SOCKET, SO_COOKIE, &whole, &bytes) != 0)
        return false;
    *cookie = (uint32_t)whole;
    return true;
}

/* Bytes received, whether or not they were read. False if the kernel does not say. */
static bool bytes_that_came(int socket, uint64_t *bytes)
{
    struct tcp_info info;
    socklen_t info_bytes = offsetof(struct tcp_info, tcpi_bytes_received) + sizeof *bytes;
    socklen_t wanted = info_bytes;

    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &info_bytes) != 0 || info_bytes < wanted)
        return false;
    *bytes = info.tcpi_bytes_received;
    return true;
}

/* Whether the socket's peer has the address; `*may_say`: whether it has one at all. */
static bool peer_is(int socket, const char *address, bool *may_say)
{
    struct sockaddr_storage peer = {0};
    socklen_t bytes = sizeof peer;
    char text[INET6_ADDRSTRLEN];
    struct address one, other;
    const void *from;

    bool connected = getpeername(socket, (struct sockaddr *)&peer, &bytes) == 0;
    *may_say = connected ? peer.ss_family != AF_UNIX : errno != ENOTCONN;
    if (!connected)
        return false;
    if (peer.ss_family == AF_INET)
        from = &((struct sockaddr_in *)&peer)->sin_addr;
    else if (peer.ss_family == AF_INET6)
        from = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    else
        return false;
    return inet_ntop(peer.ss_family, from, text, sizeof text) != NULL &&
           address_parse(&one, text) && address_parse(&other, address) &&
           memcmp(&one, &other, sizeof one) == 0;
}

void wire_begin(struct wire *wire, int socket, const char *address, bool named_by_proxy,
                enum wire_proof *proof)
{
    uint64_t bytes;

    wire_none(wire);
    if (*proof == WIRE_REFUTED || address == NULL)
        return;
    if (*proof == WIRE_UNPROVED) {
        bool may_say;
        if (peer_is(socket, address, &may_say))
            *proof = WIRE_PROVED;
        else if (may_say && !named_by_proxy)
            *proof = WIRE_REFUTED;
        if (*proof != WIRE_PROVED)
            return;
    }
    if (!cookie_of(socket, &wire->cookie) || !bytes_that_came(socket, &bytes))
        return;
    wire->socket = socket;
    wire->explained = (uint32_t)bytes;
}

/* Modulo 2^32: fewer than half of that arrive between two checks. */
static int32_t unexplained(const struct wire *wire, uint64_t came, uint32_t pending)
{
    return (int32_t)((uint32_t)came - pending - wire->explained);
}

uint32_t wire_judge(struct wire *wire, uint64_t came, uint32_t pending)
{
    int32_t bytes = unexplained(wire, came, pending);

    if (bytes < WIRE_UNEXPLAINED_BYTES)
        return 0;
    uint32_t packets = (uint32_t)bytes / WIRE_UNEXPLAINED_BYTES;
    wire->explained += packets * WIRE_UNEXPLAINED_BYTES;
    return packets;
}

bool wire_look(struct wire *wire, uint64_t *came, uint32_t *unread)
{
    uint32_t cookie;
    int waiting = 0;

    if (wire->socket < 0 || !bytes_that_came(wire->socket, came))
        return false;
    int32_t bytes = unexplained(wire, *came, 0);
    if (bytes < -WIRE_AHEAD_BYTES)
        wire->explained = (uint32_t)*came + WIRE_AHEAD_BYTES;
    if (bytes < WIRE_UNEXPLAINED_BYTES)
        return false;
    /* The descriptor may belong to another connection by now. */
    if (!cookie_of(wire->socket, &cookie) || cookie != wire->cookie) {
        wire_none(wire);
        return false;
    }
    if (ioctl(wire->socket, SIOCINQ, &waiting) != 0)
        return false;
    *unread = (uint32_t)waiting;
    return true;
}
