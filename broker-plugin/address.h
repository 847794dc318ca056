/* The network address of a client, for limits alone: it is never stored, and nobody's identity.
 * Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_ADDRESS_H
#define TALLY_BROKER_PLUGIN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_BYTES 16
#define ADDRESS_NETS_MAX 16

struct address {
    unsigned char bytes[ADDRESS_BYTES]; /* of IPv6; IPv4 is mapped (::ffff:a.b.c.d, RFC 4291) */
};

/* Reads an address as the broker gives it: IPv4, IPv6, or IPv4 mapped into IPv6. Of a list with
 * commas the last counts: what X-Forwarded-For says (2.0.21 takes it), the last proxy has added.
 * False: none. */
bool address_parse(struct address *address, const char *text);

/* By whom a limit counts: an IPv4 address, or the /64 of an IPv6 one, as that is what one customer
 * gets at least. Nothing that is routed shares a key with another. */
uint64_t address_key(const struct address *address);

/* The key of all whose address cannot be read, though there is a text: else who sends a strange
 * header would have no limit. */
#define ADDRESS_KEY_UNREADABLE UINT64_MAX

/* Networks, such as those of proxies. */
struct address_nets {
    uint32_t n;
    struct address_net {
        struct address address;
        unsigned bits;
    } net[ADDRESS_NETS_MAX];
};

/* Reads up to ADDRESS_NETS_MAX of `a.b.c.d`, `a.b.c.d/n`, `x::y`, `x::y/n` with commas between;
 * empty: none. Bits of the address behind the network's must be 0. Returns 0, or -1. */
int address_nets_parse(struct address_nets *nets, const char *text);

bool address_nets_contain(const struct address_nets *nets, const struct address *address);

#endif
