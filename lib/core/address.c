/* Parses addresses and networks, and makes an address the key of its limit. */
#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define TEXT_MAX_BYTES 64
#define MAPPED_BYTES 12 /* before the IPv4 address */
#define MAPPED_BITS 96

static const unsigned char mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

/* An IPv4 or IPv6 address of `bytes` bytes. */
static bool parse_address_or_v4(struct address *address, const char *text, size_t bytes,
                                bool *is_v4)
{
    char copy[TEXT_MAX_BYTES + 1];
    if (bytes == 0 || bytes > TEXT_MAX_BYTES)
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    memcpy(address->bytes, mapped, MAPPED_BYTES);
    *is_v4 = inet_pton(AF_INET, copy, address->bytes + MAPPED_BYTES) == 1;
    return *is_v4 || inet_pton(AF_INET6, copy, address->bytes) == 1;
}

bool address_parse(struct address *address, const char *text)
{
    bool is_v4;
    const char *comma = strrchr(text, ',');
    if (comma != NULL)
        text = comma + 1;
    text += strspn(text, " \t");
    size_t bytes = strlen(text);
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t'))
        bytes--;
    return parse_address_or_v4(address, text, bytes, &is_v4);
}

bool address_of_peer(struct address *address, const struct sockaddr *peer)
{
    memset(address, 0, sizeof *address);
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
        memcpy(address->bytes, mapped, MAPPED_BYTES);
        memcpy(address->bytes + MAPPED_BYTES, &v4->sin_addr, sizeof v4->sin_addr);
        return true;
    }
    if (peer->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
    memcpy(address->bytes, &v6->sin6_addr, sizeof address->bytes);
    return true;
}

uint64_t address_key(const struct address *address)
{
    const unsigned char *bytes = address->bytes;
    bool is_v4 = memcmp(bytes, mapped, MAPPED_BYTES) == 0;
    uint64_t key = 0;

    /* The /64s of 0:1::/32, which IPv4 addresses take, are reserved (RFC 4291, ::/8). */
    if (is_v4)
        key = 1;
    for (size_t i = is_v4 ? MAPPED_BYTES : 0; i < (is_v4 ? ADDRESS_BYTES : 8); i++)
        key = key << 8 | bytes[i];
    return key;
}

static bool begins_alike(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

/* "/n"; an empty one means all bits. */
static bool parse_bits(const char *text, size_t bytes, unsigned most, unsigned *bits)
{
    *bits = most;
    if (bytes == 0)
        return true;
    if (bytes < 2 || bytes > 4)
        return false;
    *bits = 0;
    for (size_t i = 1; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(text[i] - '0');
    }
    return *bits <= most;
}

static bool parse_net(struct address_net *net, const char *text, size_t bytes)
{
    struct address lowest = {{0}};
    bool is_v4;
    const char *slash = memchr(text, '/', bytes);
    size_t address_bytes = slash == NULL ? bytes : (size_t)(slash - text);

    if (!parse_address_or_v4(&net->address, text, address_bytes, &is_v4) ||
        !parse_bits(text + address_bytes, bytes - address_bytes, is_v4 ? 32 : 128, &net->bits))
        return false;
    if (is_v4)
        net->bits += MAPPED_BITS;
    memcpy(lowest.bytes, net->address.bytes, net->bits / 8);
    if (net->bits % 8 != 0)
        lowest.bytes[net->bits / 8] =
            net->address.bytes[net->bits / 8] & (unsigned char)(0xff << (8 - net->bits % 8));
    return memcmp(&lowest, &net->address, sizeof lowest) == 0;
}

int address_nets_parse(struct address_nets *nets, const char *text)
{
    memset(nets, 0, sizeof *nets);
    while (*text != '\0') {
        size_t bytes = strcspn(text, ",");
        if (nets->n == ADDRESS_NETS_MAX || !parse_net(&nets->net[nets->n], text, bytes))
            return -1;
        nets->n++;
        text += bytes;
        if (*text == ',' && *++text == '\0')
            return -1;
    }
    return 0;
}

bool address_nets_contain(const struct address_nets *nets, const struct address *address)
{
    for (uint32_t i = 0; i < nets->n; i++)
        if (begins_alike(&nets->net[i].address, address, nets->net[i].bits))
            return true;
    return false;
}
