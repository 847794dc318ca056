#include "unit.h"

#include "wire.h"

static void require_bytes(const unsigned char *out, size_t bytes, const char *hex)
{
    unsigned char wanted[256];
    size_t n = unit_hex(hex, wanted);
    assert_int_equal(bytes, n);
    assert_memory_equal(out, wanted, n);
}

static void connect_is_as_in_the_standard(void **state)
{
    unsigned char out[128];
    const struct wire_login plain = {WIRE_311, "a", NULL, NULL};
    const struct wire_login full = {WIRE_5, "ab", "user", "pw"};
    (void)state;
    require_bytes(out, wire_connect(out, sizeof out, &plain),
                  "100d00044d5154540402000000"
                  "0161");
    require_bytes(out, wire_connect(out, sizeof out, &full),
                  "101900044d51545405c2000000"
                  "00026162"
                  "000475736572"
                  "00027077");
    assert_int_equal(wire_connect(out, 26, &full), 0);
    assert_int_equal(wire_connect(out, 27, &full), 27);
}

static void publish_is_as_in_the_standard(void **state)
{
    unsigned char out[300];
    char long_payload[200];
    struct wire_message message = {"a/b", 3, "sad", 3, 0, 0, false};
    (void)state;
    require_bytes(out, wire_publish(out, sizeof out, WIRE_311, &message), "30080003612f62736164");
    message.qos = 1;
    message.id = 0x1234;
    require_bytes(out, wire_publish(out, sizeof out, WIRE_5, &message),
                  "320b0003612f6212340073"
                  "6164");
    message.retain = true;
    require_bytes(out, wire_publish(out, sizeof out, WIRE_311, &message),
                  "330a0003612f6212347361"
                  "64");
    memset(long_payload, 'x', sizeof long_payload);
    message.payload = long_payload;
    message.payload_bytes = sizeof long_payload;
    assert_int_equal(wire_publish(out, sizeof out, WIRE_5, &message), 3 + 8 + 200);
    assert_int_equal(out[1], 0xd0);
    assert_int_equal(out[2], 0x01);
    assert_int_equal(wire_publish(out, 210, WIRE_5, &message), 0);
}

static void other_packets_are_as_in_the_standard(void **state)
{
    unsigned char out[64];
    (void)state;
    require_bytes(out, wire_subscribe(out, sizeof out, WIRE_311, 1, "a/#", 1),
                  "820800010003612f"
                  "2301");
    require_bytes(out, wire_subscribe(out, sizeof out, WIRE_5, 1, "a/#", 0),
                  "82090001000003612f2"
                  "300");
    require_bytes(out, wire_puback(out, sizeof out, 0x0102), "40020102");
    require_bytes(out, wire_pingreq(out, sizeof out), "c000");
    require_bytes(out, wire_disconnect(out, sizeof out), "e000");
    assert_int_equal(wire_pingreq(out, 1), 0);
}

static void a_frame_is_whole_only_with_its_last_byte(void **state)
{
    unsigned char in[400] = {0x30, 0x80, 0x02};
    struct wire_frame frame;
    (void)state;
    for (size_t bytes = 0; bytes < 3 + 256; bytes++)
        assert_int_equal(wire_frame(in, bytes, &frame), 0);
    assert_int_equal(wire_frame(in, sizeof in, &frame), 1);
    assert_int_equal(frame.type, WIRE_PUBLISH);
    assert_int_equal(frame.body_bytes, 256);
    assert_int_equal(frame.bytes, 259);
    assert_ptr_equal(frame.body, in + 3);
    unit_hex("30ffffffff", in);
    assert_int_equal(wire_frame(in, 4, &frame), 0);
    assert_int_equal(wire_frame(in, 5, &frame), -1);
}

static struct wire_frame frame_of(const char *hex)
{
    static unsigned char in[256];
    struct wire_frame frame;
    assert_int_equal(wire_frame(in, unit_hex(hex, in), &frame), 1);
    return frame;
}

static void connack_tells_the_receive_maximum(void **state)
{
    static const struct {
        const char *hex;
        enum wire_version version;
        int answer, reason;
        unsigned maximum;
    } rows[] = {
        {"20020000", WIRE_311, 0, 0, 65535},
        {"20020005", WIRE_311, 0, 5, 65535},
        {"2003000000", WIRE_5, 0, 0, 65535},
        {"200900000622000a210014", WIRE_5, 0, 0, 20},               /* as mosquitto's */
        {"200e00000b120001612600016b000276", WIRE_5, -1, 0, 65535}, /* the last text is cut */
        {"20110000"
         "0e"
         "1200016126000"
         "16b000176210014",
         WIRE_5, 0, 0, 20}, /* texts before it */
        {"2005000087"
         "0000",
         WIRE_5, -1, 0, 65535}, /* lengths disagree */
        {"200600000321"
         "0014",
         WIRE_5, 0, 0, 20},
        {"20060000037f"
         "0014",
         WIRE_5, -1, 0, 65535}, /* a property that nobody knows */
        {"4002000a", WIRE_5, -1, 0, 65535},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire_frame frame = frame_of(rows[i].hex);
        unsigned maximum = 0;
        int reason = 0;
        require(wire_read_connack(&frame, rows[i].version, &reason, &maximum) == rows[i].answer,
                "row %zu", i);
        require(rows[i].answer != 0 || (reason == rows[i].reason && maximum == rows[i].maximum),
                "row %zu", i);
    }
}

static void answers_are_read(void **state)
{
    uint16_t id;
    int reason, qos;
    struct wire_frame frame = frame_of("40020102");
    (void)state;
    assert_int_equal(wire_read_puback(&frame, &id, &reason), 0);
    assert_int_equal(id, 0x0102);
    assert_int_equal(reason, 0);
    frame = frame_of("400301028"
                     "7");
    assert_int_equal(wire_read_puback(&frame, &id, &reason), 0);
    assert_int_equal(reason, 0x87);
    frame = frame_of("400101");
    assert_int_equal(wire_read_puback(&frame, &id, &reason), -1);
    frame = frame_of("9003000101");
    assert_int_equal(wire_read_suback(&frame, WIRE_311, &reason), 0);
    assert_int_equal(reason, 1);
    frame = frame_of("900400010087");
    assert_int_equal(wire_read_suback(&frame, WIRE_5, &reason), 0);
    assert_int_equal(reason, 0x87);
    frame = frame_of("9003000100");
    assert_int_equal(wire_read_suback(&frame, WIRE_5, &reason), -1);
    frame = frame_of("3208000361"
                     "2f620a0b78");
    assert_int_equal(wire_read_publish(&frame, &qos, &id), 0);
    assert_int_equal(qos, 1);
    assert_int_equal(id, 0x0a0b);
    frame = frame_of("32050003612f62");
    assert_int_equal(wire_read_publish(&frame, &qos, &id), -1);
}

static void a_message_is_read_whole(void **state)
{
    static const struct {
        const char *hex;
        enum wire_version version;
        int answer, qos;
        bool retain;
    } rows[] = {
        {"30080003612f62736164", WIRE_311, 0, 0, false},
        {"330a0003612f621234736164", WIRE_311, 0, 1, true},
        {"320b0003612f62123400736164", WIRE_5, 0, 1, false},
        {"31100003612f62072600016b000176736164", WIRE_5, 0, 0, true}, /* a property before it */
        {"30070003612f620a73", WIRE_5, -1, 0, false},                 /* properties are cut */
        {"30050003612f62", WIRE_5, -1, 0, false},                     /* no properties */
        {"30040003612f", WIRE_311, -1, 0, false},                     /* the topic is cut */
        {"320600031234612f", WIRE_311, -1, 0, false},
        {"40020102", WIRE_311, -1, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire_frame frame = frame_of(rows[i].hex);
        struct wire_message message;
        require(wire_read_message(&frame, rows[i].version, &message) == rows[i].answer, "row %zu",
                i);
        if (rows[i].answer != 0)
            continue;
        require(message.qos == rows[i].qos && message.retain == rows[i].retain &&
                    message.topic_bytes == 3 && memcmp(message.topic, "a/b", 3) == 0 &&
                    message.payload_bytes == 3 && memcmp(message.payload, "sad", 3) == 0,
                "row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_is_as_in_the_standard),
        cmocka_unit_test(publish_is_as_in_the_standard),
        cmocka_unit_test(other_packets_are_as_in_the_standard),
        cmocka_unit_test(a_frame_is_whole_only_with_its_last_byte),
        cmocka_unit_test(connack_tells_the_receive_maximum),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(a_message_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
