/* On real sockets: what the kernel does with the program is the point. */
#include "http_gate.h"

#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REFUSED_MS 300 /* less than a second, after which TCP tries again */
#define ACCEPTED_MS 20000

struct fixture {
    struct http_gate *gate;
    int listening; /* IPv6, and IPv4 mapped into it */
    uint16_t port;
    uint64_t lifted; /* the address that may connect again */
};

static uint64_t key_of(const char *text)
{
    struct address address;
    assert_true(address_parse(&address, text));
    return address_key(&address);
}

static int setup(void **state)
{
    static struct fixture fixture;
    const int no = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    socklen_t bytes = sizeof any;
    fixture = (struct fixture){.gate = http_gate_new()};
    assert_non_null(fixture.gate);
    fixture.listening = socket(AF_INET6, SOCK_STREAM, 0);
    assert_true(fixture.listening >= 0);
    assert_int_equal(setsockopt(fixture.listening, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no), 0);
    assert_int_equal(bind(fixture.listening, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(fixture.listening, 64), 0);
    assert_int_equal(getsockname(fixture.listening, (struct sockaddr *)&any, &bytes), 0);
    fixture.port = ntohs(any.sin6_port);
    http_gate_listen(fixture.gate, fixture.listening);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->listening);
    http_gate_free(fixture->gate);
    return 0;
}

/* Whether a connection from an IPv4 loopback address, or from ::1, begins within this time. */
static bool connects(const struct fixture *fixture, const char *from, int within_ms)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool is_v4 = inet_pton(AF_INET, from, &v4.sin_addr) == 1;
    const struct sockaddr *own = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t bytes = is_v4 ? sizeof v4 : sizeof v6;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, own, bytes), 0);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = v6.sin6_port = htons(fixture->port);
    if (connect(fd, own, bytes) != 0)
        assert_int_equal(errno, EINPROGRESS);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    bool connected = poll(&ready, 1, within_ms) == 1 && (ready.revents & POLLERR) == 0;
    close(fd);
    return connected;
}

static bool is_lifted(void *user, uint64_t key)
{
    const struct fixture *fixture = user;
    return key == fixture->lifted;
}

static void accept_many(struct fixture *fixture, const char *from, int n)
{
    for (int i = 0; i < n; i++)
        http_gate_accepted(fixture->gate, key_of(from));
}

static void an_address_that_opens_too_many_is_refused(void **state)
{
    struct fixture *fixture = *state;
    accept_many(fixture, "127.0.0.3", HTTP_GATE_ACCEPTS - 1);
    assert_int_equal(http_gate_refused(fixture->gate), 0);
    assert_true(connects(fixture, "127.0.0.3", ACCEPTED_MS));
    accept_many(fixture, "127.0.0.3", 1);
    assert_int_equal(http_gate_refused(fixture->gate), 1);
    assert_false(connects(fixture, "127.0.0.3", REFUSED_MS));
    assert_true(connects(fixture, "127.0.0.2", ACCEPTED_MS));
    assert_true(connects(fixture, "::1", ACCEPTED_MS));
}

static void it_connects_again_once_it_may(void **state)
{
    struct fixture *fixture = *state;
    accept_many(fixture, "127.0.0.3", HTTP_GATE_ACCEPTS);
    accept_many(fixture, "127.0.0.4", HTTP_GATE_ACCEPTS);
    accept_many(fixture, "127.0.0.5", 1);
    fixture->lifted = key_of("127.0.0.3");
    assert_true(http_gate_lift(fixture->gate, is_lifted, fixture));
    assert_int_equal(http_gate_refused(fixture->gate), 1);
    assert_true(connects(fixture, "127.0.0.3", ACCEPTED_MS));
    assert_false(connects(fixture, "127.0.0.4", REFUSED_MS));
    fixture->lifted = key_of("127.0.0.4");
    assert_true(http_gate_lift(fixture->gate, is_lifted, fixture));
    assert_true(connects(fixture, "127.0.0.4", ACCEPTED_MS));
    fixture->lifted = key_of("127.0.0.5");
    assert_false(http_gate_lift(fixture->gate, is_lifted, fixture));
}

static void an_ipv6_network_is_refused(void **state)
{
    struct fixture *fixture = *state;
    accept_many(fixture, "127.0.0.3", HTTP_GATE_ACCEPTS);
    accept_many(fixture, "2001:db8::1", HTTP_GATE_ACCEPTS);
    assert_true(connects(fixture, "::1", ACCEPTED_MS));
    accept_many(fixture, "::1", HTTP_GATE_ACCEPTS);
    assert_false(connects(fixture, "::1", REFUSED_MS));
    assert_false(connects(fixture, "127.0.0.3", REFUSED_MS));
    assert_true(connects(fixture, "127.0.0.2", ACCEPTED_MS));
}

static void as_many_as_are_watched_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[32];
    for (int i = 0; i < HTTP_GATE_ADDRESSES; i++) {
        (void)snprintf(text, sizeof text, i % 2 == 0 ? "127.0.1.%d" : "2001:db8:0:%d::1", i);
        accept_many(fixture, text, HTTP_GATE_ACCEPTS);
    }
    accept_many(fixture, "127.0.0.3", HTTP_GATE_ACCEPTS);
    assert_int_equal(http_gate_refused(fixture->gate), HTTP_GATE_ADDRESSES);
    assert_false(connects(fixture, "127.0.1.0", REFUSED_MS));
    assert_false(connects(fixture, "127.0.1.62", REFUSED_MS));
    assert_true(connects(fixture, "127.0.1.63", ACCEPTED_MS));
    assert_true(connects(fixture, "127.0.0.3", ACCEPTED_MS));
    assert_true(connects(fixture, "::1", ACCEPTED_MS));
}

#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(an_address_that_opens_too_many_is_refused),
        GATE_TEST(it_connects_again_once_it_may),
        GATE_TEST(an_ipv6_network_is_refused),
        GATE_TEST(as_many_as_are_watched_are_refused),
    };
    return cmocka_run_group_tests_name("http_gate", tests, NULL, NULL);
}
