#include "unit.h"

#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two ends of a TCP connection on loopback. */
static int client_end, broker_end;

static int begin(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client_end = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0 ||
        connect(client_end, (struct sockaddr *)&address, bytes) != 0)
        return -1;
    broker_end = accept(listener, NULL, NULL);
    close(listener);
    return broker_end < 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    close(client_end);
    close(broker_end);
    return 0;
}

static void send_and_read(size_t sent, size_t read_)
{
    static char bytes[65536];
    assert_int_equal(send(client_end, bytes, sent, 0), sent);
    while (recv(broker_end, bytes, sizeof bytes, MSG_PEEK) < (ssize_t)read_)
        continue;
    assert_int_equal(recv(broker_end, bytes, read_, 0), read_);
}

static void counts_what_nobody_explained(void **state)
{
    enum wire_proof proof = WIRE_UNPROVED;
    struct wire wire;
    uint64_t came;
    uint32_t unread;

    (void)state;
    send_and_read(100, 100); /* before it begins */
    wire_begin(&wire, broker_end, "127.0.0.1", false, &proof);
    assert_int_equal(proof, WIRE_PROVED);
    assert_false(wire_look(&wire, &came, &unread));
    send_and_read(8000, 8000);
    wire_explain(&wire, 7000);
    assert_true(wire_look(&wire, &came, &unread));
    assert_int_equal(unread, 0);
    assert_int_equal(wire_judge(&wire, came, unread), 1000 / WIRE_UNEXPLAINED_BYTES);
    assert_false(wire_look(&wire, &came, &unread));
    send_and_read(800, 400);
    assert_true(wire_look(&wire, &came, &unread));
    assert_int_equal(unread, 400);
    assert_int_equal(wire_judge(&wire, came, unread), 400 / WIRE_UNEXPLAINED_BYTES);
}

static void what_is_explained_ahead_is_bounded(void **state)
{
    enum wire_proof proof = WIRE_UNPROVED;
    struct wire wire;
    uint64_t came;
    uint32_t unread;

    (void)state;
    wire_begin(&wire, broker_end, "127.0.0.1", false, &proof);
    wire_explain(&wire, 1000000);
    assert_false(wire_look(&wire, &came, &unread));
    send_and_read(WIRE_AHEAD_BYTES + 800, WIRE_AHEAD_BYTES + 800);
    assert_true(wire_look(&wire, &came, &unread));
    assert_int_equal(wire_judge(&wire, came, unread), 800 / WIRE_UNEXPLAINED_BYTES);
}

static void counts_across_the_end_of_32_bits(void **state)
{
    struct wire wire = {.explained = UINT32_MAX - 9};

    (void)state;
    assert_int_equal(wire_judge(&wire, UINT64_C(0x1ffffffff), 9), 0);
    assert_int_equal(wire_judge(&wire, UINT64_C(0x200000000) + 790, 0), 100);
    assert_int_equal(wire_judge(&wire, UINT64_C(0x200000000) + 790, 0), 0);
}

static void another_address_refutes_it(void **state)
{
    enum wire_proof proof = WIRE_UNPROVED;
    struct wire wire;

    (void)state;
    wire_begin(&wire, broker_end, "192.0.2.1", true, &proof); /* a proxy says so */
    assert_int_equal(proof, WIRE_UNPROVED);
    assert_int_equal(wire.socket, -1);
    wire_begin(&wire, broker_end, NULL, false, &proof);
    assert_int_equal(proof, WIRE_UNPROVED);
    wire_begin(&wire, broker_end, "::ffff:127.0.0.1", false, &proof);
    assert_int_equal(proof, WIRE_PROVED);
    wire_begin(&wire, broker_end, "192.0.2.1", true, &proof); /* it is proved already */
    assert_int_equal(wire.socket, broker_end);
    proof = WIRE_UNPROVED;
    wire_begin(&wire, broker_end, "192.0.2.1", false, &proof);
    assert_int_equal(proof, WIRE_REFUTED);
    wire_begin(&wire, broker_end, "127.0.0.1", false, &proof);
    assert_int_equal(wire.socket, -1);
    proof = WIRE_UNPROVED;
    wire_begin(&wire, -1, "127.0.0.1", false, &proof);
    assert_int_equal(proof, WIRE_REFUTED);
}

static void a_socket_that_has_gone_is_none(void **state)
{
    enum wire_proof proof = WIRE_UNPROVED;
    struct wire wire;
    uint64_t came;
    uint32_t unread;
    int number = broker_end;

    (void)state;
    wire_begin(&wire, broker_end, "127.0.0.1", false, &proof);
    assert_int_equal(wire.socket, number);
    close(broker_end);
    close(client_end);
    assert_false(wire_look(&wire, &came, &unread));
    /* Another connection with its descriptor, over which more came. */
    assert_int_equal(begin(state), 0);
    assert_int_equal(dup2(broker_end, number), number);
    send_and_read(4000, 4000);
    assert_false(wire_look(&wire, &came, &unread));
    assert_int_equal(wire.socket, -1);
    if (number != broker_end)
        close(number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_what_nobody_explained, begin, end),
        cmocka_unit_test_setup_teardown(what_is_explained_ahead_is_bounded, begin, end),
        cmocka_unit_test(counts_across_the_end_of_32_bits),
        cmocka_unit_test_setup_teardown(another_address_refutes_it, begin, end),
        cmocka_unit_test_setup_teardown(a_socket_that_has_gone_is_none, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
