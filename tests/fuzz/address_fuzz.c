/* Client addresses and lists of networks. What is read is read the same when inet_ntop writes it; a
 * network contains its own address and no other /64 by its key. */
#include "core/address.h"
#include "fuzz.h"

#include <arpa/inet.h>

static void check_address(const char *text)
{
    struct address address, again;
    char written[INET6_ADDRSTRLEN], list[3 * INET6_ADDRSTRLEN];
    if (!address_parse(&address, text))
        return;
    FUZZ_CHECK(inet_ntop(AF_INET6, address.bytes, written, sizeof written) != NULL);
    snprintf(list, sizeof list, "nobody, 1.2.3.4,\t%s ", written);
    FUZZ_CHECK(address_parse(&again, list) && memcmp(&again, &address, sizeof again) == 0);
    FUZZ_CHECK(address_key(&again) == address_key(&address) &&
               address_key(&address) != ADDRESS_KEY_UNREADABLE);
    again.bytes[ADDRESS_BYTES - 1] ^= 1;
    bool is_v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address.bytes);
    FUZZ_CHECK((address_key(&again) == address_key(&address)) == !is_v4);
}

static void check_nets(const char *text)
{
    struct address_nets nets;
    if (address_nets_parse(&nets, text) != 0)
        return;
    FUZZ_CHECK(nets.n <= ADDRESS_NETS_MAX && (nets.n == 0) == (text[0] == '\0'));
    for (uint32_t i = 0; i < nets.n; i++) {
        const struct address_nets one = {.n = 1, .net = {nets.net[i]}};
        struct address address = nets.net[i].address;
        unsigned bits = nets.net[i].bits;
        FUZZ_CHECK(bits <= 128 && address_nets_contain(&nets, &address));
        if (bits > 0) {
            address.bytes[(bits - 1) / 8] ^= (unsigned char)(0x80u >> (bits - 1) % 8);
            FUZZ_CHECK(!address_nets_contain(&one, &address));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    for (char *line; (line = fuzz_line(&in)) != NULL; free(line)) {
        check_address(line);
        check_nets(line);
    }
    return 0;
}
