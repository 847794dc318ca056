#include "unit.h"

#include "websocket.h"

#define ANSWER                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"            \
    "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n"

static void the_request_is_whole_or_nothing(void **state)
{
    char out[512];
    size_t bytes = websocket_request(out, sizeof out, "example.org");
    (void)state;
    assert_true(bytes > 0 && strlen(out) == bytes);
    assert_non_null(strstr(out, "GET /mqtt HTTP/1.1\r\nHost: example.org\r\n"));
    assert_non_null(strstr(out, "\r\nSec-WebSocket-Protocol: mqtt\r\n"));
    assert_string_equal(out + bytes - 4, "\r\n\r\n");
    assert_int_equal(websocket_request(out, bytes, "example.org"), 0);
    assert_int_equal(websocket_request(out, bytes + 1, "example.org"), bytes);
}

static void an_answer_must_consent(void **state)
{
    static const struct {
        const char *text;
        int answer;
    } rows[] = {
        {ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n", 1},
        {ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82", 1}, /* a frame begins behind it */
        {ANSWER "Sec-WebSocket-Protocol: mqtt\r\n\r", 0},
        {ANSWER "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n", -1},
        {ANSWER "X-Sec-WebSocket-Protocol: mqtt\r\n\r\n", -1},
        {ANSWER "\r\n", -1},
        {"HTTP/1.1 101 \r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", -1},
        {"HTTP/1.1 101 \r\nSec-WebSocket-Accept: x3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
         "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
         -1},
        {"HTTP/1.1 403 Forbidden\r\n\r\n", -1},
        {"\r\n\r\n", -1},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t used = 0;
        require(websocket_answer(rows[i].text, strlen(rows[i].text), &used) == rows[i].answer,
                "row %zu", i);
        require(rows[i].answer != 1 || rows[i].text[used - 1] == '\n', "row %zu", i);
    }
}

static void require_frame(const char *payload, size_t bytes, uint32_t mask, const char *hex)
{
    static unsigned char out[70000], wanted[70000];
    size_t begins = unit_hex(hex, wanted);
    memcpy(out + WEBSOCKET_BEFORE_BYTES, payload, bytes);
    size_t whole = websocket_wrap(out, WEBSOCKET_BINARY, bytes, mask);
    assert_memory_equal(out, wanted, begins);
    assert_int_equal(whole, (bytes < 126 ? 6 : 8) + bytes);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(out[whole - bytes + i] ^ out[whole - bytes - 4 + i % 4],
                         (unsigned char)payload[i]);
}

/* "Hello" as in RFC 6455, 5.7, but binary. */
static void frames_are_as_in_the_standard(void **state)
{
    static char payload[WEBSOCKET_PAYLOAD_MAX_BYTES];
    (void)state;
    memset(payload, 'x', sizeof payload);
    require_frame("Hello", 5, 0x37fa213d, "828537fa213d7f9f4d5158");
    require_frame("", 0, 0x01020304, "828001020304");
    require_frame(payload, 125, 0x01020304, "82fd01020304797a7b7c");
    require_frame(payload, 126, 0x01020304, "82fe007e01020304797a7b7c");
    require_frame(payload, sizeof payload, 0x01020304, "82feffff01020304797a7b7c");
}

/* A stream of frames, as a server sends them, of `payload` in pieces, pings between them. */
static size_t make_stream(const unsigned char *payload, size_t bytes, uint64_t *random,
                          unsigned char *out)
{
    size_t at = 0, n = 0;
    while (at < bytes) {
        size_t part = unit_random(random) % 4 == 0 ? 1 + unit_random(random) % 300
                                                   : unit_random(random) % 140;
        part = part < bytes - at ? part : bytes - at;
        out[n++] = (unsigned char)((unit_random(random) % 2 << 7) | (unit_random(random) % 2 << 1));
        if (part < 126 && unit_random(random) % 2 == 0) {
            out[n++] = (unsigned char)part;
        } else if (unit_random(random) % 2 == 0) {
            out[n++] = 126;
            out[n++] = (unsigned char)(part >> 8);
            out[n++] = (unsigned char)part;
        } else {
            out[n++] = 127;
            memset(out + n, 0, 6);
            out[n + 6] = (unsigned char)(part >> 8);
            out[n + 7] = (unsigned char)part;
            n += 8;
        }
        memcpy(out + n, payload + at, part);
        n += part;
        at += part;
        if (unit_random(random) % 3 == 0)
            n += unit_hex("890470696e67", out + n);
        if (unit_random(random) % 5 == 0)
            n += unit_hex("8a00", out + n);
    }
    return n;
}

static void what_was_cut_anywhere_is_put_together(void **state)
{
    static unsigned char payload[3000], stream[60000], read[3000], part[2000];
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct websocket websocket = {0};
        uint64_t random = seed;
        size_t got = 0;
        for (size_t i = 0; i < sizeof payload; i++)
            payload[i] = (unsigned char)unit_random(&random);
        size_t n = make_stream(payload, sizeof payload, &random, stream);
        for (size_t at = 0, kept, bytes; at < n; at += bytes) {
            bytes = 1 + unit_random(&random) % (seed % 2 == 0 ? 3 : sizeof part);
            bytes = bytes < n - at ? bytes : n - at;
            memcpy(part, stream + at, bytes);
            require(websocket_read(&websocket, part, bytes, &kept) == 0, "seed %u", (unsigned)seed);
            require(got + kept <= sizeof read, "seed %u", (unsigned)seed);
            memcpy(read + got, part, kept);
            got += kept;
        }
        require(got == sizeof payload && memcmp(read, payload, got) == 0, "seed %u",
                (unsigned)seed);
    }
}

static void a_ping_is_told_with_its_payload(void **state)
{
    struct websocket websocket = {0};
    unsigned char in[64];
    size_t kept, n = unit_hex("8203616263"
                              "890470696e",
                              in);
    (void)state;
    assert_int_equal(websocket_read(&websocket, in, n, &kept), 0);
    assert_int_equal(kept, 3);
    assert_memory_equal(in, "abc", 3);
    assert_false(websocket.pinged);
    n = unit_hex("6782016"
                 "4",
                 in);
    assert_int_equal(websocket_read(&websocket, in, n, &kept), 0);
    assert_true(websocket.pinged);
    assert_int_equal(websocket.control_bytes, 4);
    assert_memory_equal(websocket.control, "ping", 4);
    assert_int_equal(kept, 1);
    assert_int_equal(in[0], 'd');
}

static void what_ends_the_stream_or_is_malformed_is_refused(void **state)
{
    static const char *const rows[] = {
        "8800",               /* close */
        "880203e8",           /* close, with a reason */
        "8203616263880203e8", /* behind data */
        "810161",             /* text */
        "8281",               /* masked */
        "c201",               /* a reserved bit */
        "8301",               /* an opcode that nobody knows */
        "8b00",
        "0900",     /* a ping in fragments */
        "897e007e", /* a ping of 126 bytes */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct websocket websocket = {0};
        unsigned char in[32];
        size_t kept, n = unit_hex(rows[i], in);
        require(websocket_read(&websocket, in, n, &kept) == -1, "row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_whole_or_nothing),
        cmocka_unit_test(an_answer_must_consent),
        cmocka_unit_test(frames_are_as_in_the_standard),
        cmocka_unit_test(what_was_cut_anywhere_is_put_together),
        cmocka_unit_test(a_ping_is_told_with_its_payload),
        cmocka_unit_test(what_ends_the_stream_or_is_malformed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
