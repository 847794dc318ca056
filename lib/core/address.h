/* The network address of a client, used only for limits: it is never stored and identifies nobody.
 * Pure; any thread. */
#ifndef TALLY_CORE_ADDRESS_H
#define TALLY_CORE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_BYTES 16
#define ADDRESS_NETS_MAX 16

struct address {
    unsigned char bytes[ADDRESS_BYTES]; /* of IPv6; IPv4 is mapped (::ffff:a.b.c.d, RFC 4291) */
};

/* Reads an address as the broker gives it: IPv4, IPv6, or IPv4 mapped into IPv6. In a
 * comma-separated list the last entry counts: in X-Forwarded-For (which 2.0.21 takes) the last
 * proxy added it. False: none. */
bool address_parse(struct address *address, const char *text);

/* The address of a socket's peer. False: it is neither IPv4 nor IPv6; then it is all zeros. */
bool address_of_peer(struct address *address, const struct sockaddr *peer);

/* The key of an address's limit: an IPv4 address, or the /64 of an IPv6 one, because a customer
 * gets at least that much. No two routed addresses or /64s share a key. */
uint64_t address_key(const struct address *address);

/* The shared key of every client whose address is present but unreadable. Otherwise a client that
 * sends a strange header would have no limit. */
#define ADDRESS_KEY_UNREADABLE UINT64_MAX

/* Networks, such as those of proxies. */
struct address_nets {
    uint32_t n;
    struct address_net {
        struct address address;
        unsigned bits;
    } net[ADDRESS_NETS_MAX];
};

/* Reads up to ADDRESS_NETS_MAX of `a.b.c.d`, `a.b.c.d/n`, `x::y`, `x::y/n`, separated by commas;
 * empty: none. Host bits must be 0. Returns 0, or -1. */
int address_nets_parse(struct address_nets *nets, const char *text);

bool address_nets_contain(const struct address_nets *nets, const struct address *address);

#endif
