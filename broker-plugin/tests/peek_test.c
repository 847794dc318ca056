#include "unit.h"

#include "peek.h"

#include <string.h>
#include <time.h>

/* A client as 2.0, 2.1 and 2.1.3 lay it out, up to what is looked at. */
struct client_2_0 {
    int ident, sock;
    uint32_t maximum_packet_size;
    int protocol;
    const char *address, *id, *username, *password;
    uint16_t keepalive, last_mid;
    int state;
    time_t times[3];
    const uint8_t *payload;
    void *next;
    uint32_t remaining_mult, remaining_length, packet_length, to_process, pos;
    uint16_t mid;
    uint8_t command;
    int8_t remaining_count;
    char rest[400];
};

struct client_2_1 {
    int ident, sock;
    uint32_t maximum_packet_size;
    uint64_t last_cmsg_id;
    char websocket[64];
    int protocol;
    const char *address, *id, *username, *password;
    unsigned id_hashv;
    uint16_t keepalive, last_mid;
    int state;
    uint8_t transport;
    time_t times[3];
    const uint8_t *payload;
    uint32_t remaining_mult, remaining_length, packet_length, to_process, pos;
    uint16_t buffer[3];
    uint8_t command;
    char rest[400];
};

/* Of 2.1.3, whose password has its length. */
struct client_2_1_3 {
    int ident, sock;
    uint32_t maximum_packet_size;
    uint64_t last_cmsg_id;
    char websocket[64];
    int protocol;
    const char *address, *id, *username, *password;
    unsigned id_hashv;
    uint16_t keepalive, last_mid, password_bytes;
    int state;
    uint8_t transport;
    time_t times[3];
    const uint8_t *payload;
    uint32_t remaining_mult, remaining_length, packet_length, to_process, pos;
    uint16_t buffer[3];
    uint8_t command;
    char rest[400];
};

static const struct peek_client known = {"127.0.0.1", "an-id", NULL, "a password", 60};

/* CONNECT of MQTT 5 with User Property "a"="bc", Session Expiry Interval 0x01020304, Receive
 * Maximum 5. */
static const uint8_t connect_5[] = {0, 4, 'M', 'Q', 'T',  'T', 5, 2, 0, 60,   16, 0x26, 0, 1, 'a',
                                    0, 2, 'b', 'c', 0x11, 1,   2, 3, 4, 0x21, 0,  5,    0, 0};

static struct client_2_0 old;
static struct client_2_1 new;
static struct client_2_1_3 newest;

static void set(const uint8_t *payload, uint32_t bytes)
{
    old = (struct client_2_0){.sock = 42,
                              .address = known.address,
                              .id = known.id,
                              .password = known.password,
                              .keepalive = 60,
                              .payload = payload,
                              .remaining_length = bytes,
                              .command = 0x10};
    new = (struct client_2_1){.sock = 43,
                              .address = known.address,
                              .id = known.id,
                              .password = known.password,
                              .keepalive = 60,
                              .payload = payload,
                              .remaining_length = bytes,
                              .command = 0x10};
    newest = (struct client_2_1_3){.sock = 44,
                                   .address = known.address,
                                   .id = known.id,
                                   .password = known.password,
                                   .keepalive = 60,
                                   .password_bytes = 10,
                                   .times = {1, 2, 3},
                                   .payload = payload,
                                   .remaining_mult = 1,
                                   .remaining_length = bytes,
                                   .packet_length = bytes + 2,
                                   .pos = 2,
                                   .command = 0x10};
}

/* Whether the CONNECT is found, and the layout of that place. */
static bool finds(const void *client, const struct peek_client *wanted, bool mosquitto_2_1,
                  enum peek_layout layout)
{
    struct peek_packet packet;
    struct peek_place place = {0};

    if (!peek_connect(client, wanted, mosquitto_2_1, &place, &packet)) {
        assert_int_equal(place.offset, 0);
        return false;
    }
    assert_int_not_equal(place.offset, 0);
    assert_int_equal(place.layout, layout);
    assert_int_equal(peek_session_expiry(&packet), 0x01020304);
    peek_at(client, &place, &packet);
    assert_ptr_equal(packet.payload, connect_5);
    assert_int_equal(packet.bytes, sizeof connect_5);
    assert_int_equal(packet.missing, 0);
    assert_int_equal(packet.keepalive, 60);
    return true;
}

static void finds_the_expiry_in_each_layout(void **state)
{
    (void)state;
    set(connect_5, sizeof connect_5);
    assert_true(finds(&old, &known, false, PEEK_2_0));
    assert_true(finds(&new, &known, true, PEEK_2_1));
    assert_true(finds(&newest, &known, true, PEEK_2_1_3));
    assert_int_equal(peek_socket(&old), 42);
    assert_int_equal(peek_socket(&new), 43);
    assert_int_equal(peek_socket(&newest), 44);
}

static void follows_nothing_that_does_not_fit(void **state)
{
    struct peek_client other = known;
    uint8_t wrong[sizeof connect_5];

    (void)state;
    set(connect_5, sizeof connect_5);
    assert_false(finds(&old, &known, true, PEEK_2_0));
    assert_false(finds(&new, &known, false, PEEK_2_0));
    assert_false(finds(&newest, &known, false, PEEK_2_0));
    other.password = "another";
    assert_false(finds(&old, &other, false, PEEK_2_0));
    other = known;
    other.keepalive = 61;
    assert_false(finds(&old, &other, false, PEEK_2_0));
    other = known;
    other.address = NULL;
    assert_false(finds(&old, &other, false, PEEK_2_0));
    newest.command = 0x30;
    assert_false(finds(&newest, &known, true, PEEK_2_0));
    old.command = 0x30;
    assert_false(finds(&old, &known, false, PEEK_2_0));
    set(NULL, sizeof connect_5);
    assert_false(finds(&old, &known, false, PEEK_2_0));
    set(connect_5, 10);
    assert_false(finds(&old, &known, false, PEEK_2_0));
    set(connect_5, sizeof connect_5);
    old.to_process = 1;
    assert_false(finds(&old, &known, false, PEEK_2_0));
    memcpy(wrong, connect_5, sizeof wrong);
    wrong[2] = 'm';
    set(wrong, sizeof wrong);
    assert_false(finds(&old, &known, false, PEEK_2_0));
    assert_false(finds(&newest, &known, true, PEEK_2_0));
}

static uint32_t expiry_of(const uint8_t *bytes, uint32_t n)
{
    struct peek_packet packet = {.payload = bytes, .bytes = n, .command = 0x10};
    return peek_session_expiry(&packet);
}

static void an_expiry_is_of_mqtt_5_alone(void **state)
{
    uint8_t packet[sizeof connect_5];

    (void)state;
    memcpy(packet, connect_5, sizeof packet);
    packet[6] = 0x85; /* a bridge's */
    assert_int_equal(expiry_of(packet, sizeof packet), 0x01020304);
    packet[6] = 4;
    assert_int_equal(expiry_of(packet, sizeof packet), 0);
    packet[6] = 5;
    packet[10] = 8; /* without the expiry */
    assert_int_equal(expiry_of(packet, sizeof packet), 0);
    packet[10] = 0;
    assert_int_equal(expiry_of(packet, sizeof packet), 0);
}

static void whatever_is_cut_off_is_none(void **state)
{
    (void)state;
    for (uint32_t n = 11; n < sizeof connect_5; n++) {
        uint8_t *cut = malloc(n); /* so that a sanitizer sees what is read behind it */
        assert_non_null(cut);
        memcpy(cut, connect_5, n);
        uint32_t expiry = expiry_of(cut, n);
        assert_true(expiry == 0 || n >= 27);
        cut[10] = (uint8_t)(n - 11);
        expiry = expiry_of(cut, n);
        assert_true(expiry == 0 || n >= 24);
        cut[10] = 0xff;
        expiry_of(cut, n);
        free(cut);
    }
}

static void a_packet_that_is_not_whole_is_pending(void **state)
{
    struct peek_packet packet = {.bytes = 1000, .missing = 400, .command = 0x32};

    (void)state;
    assert_int_equal(peek_pending(&packet), 600);
    packet.command = 0x82;
    assert_int_equal(peek_pending(&packet), 600);
    packet.command = 0xa2;
    assert_int_equal(peek_pending(&packet), 600);
    packet.command = 0xc0; /* nobody is told of it */
    assert_int_equal(peek_pending(&packet), 0);
    packet.command = 0;
    assert_int_equal(peek_pending(&packet), 0);
    packet = (struct peek_packet){.bytes = 10, .missing = 11, .command = 0x32};
    assert_int_equal(peek_pending(&packet), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_expiry_in_each_layout),
        cmocka_unit_test(follows_nothing_that_does_not_fit),
        cmocka_unit_test(an_expiry_is_of_mqtt_5_alone),
        cmocka_unit_test(whatever_is_cut_off_is_none),
        cmocka_unit_test(a_packet_that_is_not_whole_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
