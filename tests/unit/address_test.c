#include "unit.h"

#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static uint64_t key(const char *text)
{
    struct address address;
    require(address_parse(&address, text), "%s", text);
    return address_key(&address);
}

static void an_ipv4_address_is_itself(void **state)
{
    (void)state;
    assert_true(key("192.0.2.1") == key("192.0.2.1"));
    assert_true(key("192.0.2.1") != key("192.0.2.2"));
    assert_true(key("192.0.2.1") != key("193.0.2.1"));
    /* as WebSocket clients come */
    assert_true(key("::ffff:192.0.2.1") == key("192.0.2.1"));
    assert_true(key("::ffff:c000:201") == key("192.0.2.1"));
    assert_true(key("::FFFF:192.0.2.1") != key("192.0.2.2"));
}

static void an_ipv6_address_is_its_64(void **state)
{
    (void)state;
    assert_true(key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_true(key("2001:db8:1:2::1") != key("2001:db8:1:3::1"));
    assert_true(key("2001:db8:1:2::1") != key("2001:db9:1:2::1"));
    assert_true(key("::1") != key("0.0.0.1"));
    assert_true(key("::1") != key("127.0.0.1"));
    assert_true(key("::192.0.2.1") != key("192.0.2.1"));
    assert_true(key("2001:db8::1") != ADDRESS_KEY_UNREADABLE);
}

static void of_a_list_the_last_counts(void **state)
{
    (void)state;
    assert_true(key("203.0.113.9, 192.0.2.1") == key("192.0.2.1"));
    assert_true(key("203.0.113.9,192.0.2.1 ") == key("192.0.2.1"));
    assert_true(key("spoofed, 2001:db8::1") == key("2001:db8::1"));
}

static void what_is_no_address_is_none(void **state)
{
    static const char *const wrong[] = {
        "",
        " ",
        ",",
        "192.0.2.1,",
        "192.0.2",
        "192.0.2.256",
        "host",
        "2001:db8::1::2",
        "[::1]",
        "192.0.2.1:80",
        "2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001",
    };
    struct address address;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        require(!address_parse(&address, wrong[i]), "%s", wrong[i]);
}

static bool contains(const char *nets_text, const char *text)
{
    struct address_nets nets;
    struct address address;
    require(address_nets_parse(&nets, nets_text) == 0, "%s", nets_text);
    require(address_parse(&address, text), "%s", text);
    return address_nets_contain(&nets, &address);
}

static void networks_contain(void **state)
{
    (void)state;
    assert_false(contains("", "192.0.2.1"));
    assert_true(contains("192.0.2.1", "192.0.2.1"));
    assert_true(contains("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(contains("192.0.2.1", "192.0.2.2"));
    assert_true(contains("10.0.0.0/8", "10.255.0.1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.1"));
    assert_true(contains("192.0.2.128/25", "192.0.2.200"));
    assert_false(contains("192.0.2.128/25", "192.0.2.100"));
    assert_true(contains("0.0.0.0/0", "192.0.2.100"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("::/0", "192.0.2.100"));
    assert_true(contains("10.0.0.0/8,2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("10.0.0.0/8,2001:db8::/33", "2001:db8:8000::1"));
}

/* One more than are taken. */
#define FOUR "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,"
#define SEVENTEEN FOUR FOUR FOUR FOUR "10.0.0.5"

static void networks_are_checked(void **state)
{
    static const char *const wrong[] = {
        ",",
        "10.0.0.0/8,",
        ",10.0.0.0/8",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/x",
        "10.0.0.0/-1",
        "::/129",
        "2001:db8::1/64",
        "proxy",
        "10.0.0.0/8 ",
        "10.0.0.0/0008",
        "10.0.0.0/8;10.0.0.0/9",
        SEVENTEEN,
    };
    struct address_nets nets;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        require(address_nets_parse(&nets, wrong[i]) == -1, "%s", wrong[i]);
}

static void a_peer_is_its_address(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct address address, wanted;
    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr), 1);
    assert_true(address_of_peer(&address, (const struct sockaddr *)&v4));
    assert_true(address_parse(&wanted, "192.0.2.1"));
    assert_memory_equal(&address, &wanted, sizeof wanted);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
    assert_true(address_of_peer(&address, (const struct sockaddr *)&v6));
    assert_true(address_parse(&wanted, "2001:db8::1"));
    assert_memory_equal(&address, &wanted, sizeof wanted);
    assert_false(address_of_peer(&address, &other));
    assert_true(address_key(&address) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_itself), cmocka_unit_test(an_ipv6_address_is_its_64),
        cmocka_unit_test(of_a_list_the_last_counts), cmocka_unit_test(what_is_no_address_is_none),
        cmocka_unit_test(a_peer_is_its_address),     cmocka_unit_test(networks_contain),
        cmocka_unit_test(networks_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
