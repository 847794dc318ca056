/* The client's side of WebSocket, as much as MQTT needs: RFC 6455 and MQTT 5.0, chapter 6. Pure;
 * any thread. */
#ifndef TALLY_BENCH_WEBSOCKET_H
#define TALLY_BENCH_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_BEFORE_BYTES 8 /* room before the payload of a frame that is sent */
#define WEBSOCKET_PAYLOAD_MAX_BYTES 65535
#define WEBSOCKET_CONTROL_MAX_BYTES 125

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/* The request that asks for the subprotocol mqtt. Returns the bytes written, 0 if they do not
 * fit. The key is the standard's own example. It keeps caches from answering, and is not secret. */
size_t websocket_request(char *out, size_t room, const char *host);

/* The answer to that request. Returns 1 where it is whole and consents (*used: its bytes), 0 where
 * more bytes are needed, -1 where it says something else. */
int websocket_answer(const char *in, size_t bytes, size_t *used);

/* Makes one masked frame of the payload (at most WEBSOCKET_PAYLOAD_MAX_BYTES; of a control frame,
 * WEBSOCKET_CONTROL_MAX_BYTES) that is WEBSOCKET_BEFORE_BYTES behind `at`. The frame begins at
 * `at`; the payload may be moved. Returns the frame's bytes. */
size_t websocket_wrap(unsigned char *at, enum websocket_opcode opcode, size_t payload_bytes,
                      uint32_t mask);

/* Where in the stream of frames a reader is. Zeroed is the beginning. */
struct websocket {
    unsigned char header[10];
    uint8_t header_bytes; /* that have come of a header that is not whole */
    uint8_t opcode;       /* of the frame whose payload is being read */
    uint64_t left;        /* of its payload */
    bool pinged;          /* a whole ping came: the reader's to answer, and to set to false */
    uint8_t control_bytes;
    unsigned char control[WEBSOCKET_CONTROL_MAX_BYTES]; /* payload of the last control frame */
};

/* Takes the next bytes of the stream, however they were cut, and leaves of them the payload of data
 * frames, moved together: *kept bytes. -1 where the server ended the stream or what came is
 * malformed, masked or text. */
int websocket_read(struct websocket *websocket, unsigned char *bytes, size_t n, size_t *kept);

#endif
