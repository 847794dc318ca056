/* Writes and reads the opening handshake, and the frames of a client. */
#include "websocket.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* RFC 6455, 1.3: this key is answered so. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define STATUS "HTTP/1.1 101"
#define FINAL 0x80
#define RESERVED 0x70
#define MASKED 0x80
#define LENGTH_16 126
#define LENGTH_64 127

size_t websocket_request(char *out, size_t room, const char *host)
{
    int n = snprintf(out, room,
                     "GET /mqtt HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                     host);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* Whether a header line of the answer has this name and value. */
static bool has_header(const char *in, size_t bytes, const char *name, const char *value)
{
    const char *end = in + bytes, *line = in, *next;
    size_t name_bytes = strlen(name), value_bytes = strlen(value);
    for (; (next = memmem(line, (size_t)(end - line), "\r\n", 2)) != NULL; line = next + 2) {
        const char *at = line + name_bytes + 1, *last = next;
        if (at > next || strncasecmp(line, name, name_bytes) != 0 || at[-1] != ':')
            continue;
        for (; at < last && (*at == ' ' || *at == '\t'); at++)
            ;
        for (; last > at && (last[-1] == ' ' || last[-1] == '\t'); last--)
            ;
        if ((size_t)(last - at) == value_bytes && memcmp(at, value, value_bytes) == 0)
            return true;
    }
    return false;
}

int websocket_answer(const char *in, size_t bytes, size_t *used)
{
    const char *end = memmem(in, bytes, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *used = (size_t)(end - in) + 4;
    return *used >= sizeof STATUS && memcmp(in, STATUS, sizeof STATUS - 1) == 0 &&
                   has_header(in, *used, "Sec-WebSocket-Accept", ACCEPT) &&
                   has_header(in, *used, "Sec-WebSocket-Protocol", "mqtt")
               ? 1
               : -1;
}

size_t websocket_wrap(unsigned char *at, enum websocket_opcode opcode, size_t payload_bytes,
                      uint32_t mask)
{
    const unsigned char key[4] = {(unsigned char)(mask >> 24), (unsigned char)(mask >> 16),
                                  (unsigned char)(mask >> 8), (unsigned char)mask};
    unsigned char *to = at;
    *to++ = (unsigned char)(FINAL | opcode);
    if (payload_bytes < LENGTH_16) {
        *to++ = (unsigned char)(MASKED | payload_bytes);
    } else {
        *to++ = MASKED | LENGTH_16;
        *to++ = (unsigned char)(payload_bytes >> 8);
        *to++ = (unsigned char)payload_bytes;
    }
    memcpy(to, key, sizeof key);
    to += sizeof key;
    const unsigned char *payload = at + WEBSOCKET_BEFORE_BYTES;
    for (size_t i = 0; i < payload_bytes; i++)
        to[i] = payload[i] ^ key[i % sizeof key];
    return (size_t)(to - at) + payload_bytes;
}

static bool is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

/* Bytes of the header as far as its second byte says, 2 without it. */
static size_t header_bytes(const struct websocket *websocket)
{
    unsigned length = websocket->header_bytes < 2 ? 0 : websocket->header[1];
    return length == LENGTH_16 ? 4 : length == LENGTH_64 ? 10 : 2;
}

/* A whole header has come. */
static int begin_frame(struct websocket *websocket)
{
    const unsigned char *header = websocket->header;
    unsigned opcode = header[0] & 0x0f;
    websocket->left = header[1];
    if (header[1] >= LENGTH_16) {
        websocket->left = 0;
        for (size_t i = 2; i < websocket->header_bytes; i++)
            websocket->left = websocket->left << 8 | header[i];
    }
    websocket->opcode = (uint8_t)opcode;
    websocket->header_bytes = 0;
    if ((header[0] & RESERVED) != 0)
        return -1;
    if (is_control(opcode)) {
        websocket->control_bytes = 0;
        return (header[0] & FINAL) != 0 && websocket->left <= WEBSOCKET_CONTROL_MAX_BYTES ? 0 : -1;
    }
    return opcode == WEBSOCKET_BINARY || opcode == WEBSOCKET_CONTINUATION ? 0 : -1;
}

/* A frame's payload is whole. */
static int end_frame(struct websocket *websocket)
{
    if (websocket->opcode == WEBSOCKET_PING)
        websocket->pinged = true;
    return is_control(websocket->opcode) && websocket->opcode != WEBSOCKET_PING &&
                   websocket->opcode != WEBSOCKET_PONG
               ? -1
               : 0;
}

/* The next byte of a header. */
static int read_header(struct websocket *websocket, unsigned char byte)
{
    websocket->header[websocket->header_bytes++] = byte;
    if (websocket->header_bytes == 2 && (byte & MASKED) != 0)
        return -1;
    if (websocket->header_bytes < header_bytes(websocket))
        return 0;
    if (begin_frame(websocket) != 0)
        return -1;
    return websocket->left == 0 ? end_frame(websocket) : 0;
}

int websocket_read(struct websocket *websocket, unsigned char *bytes, size_t n, size_t *kept)
{
    size_t at = 0;
    for (*kept = 0; at < n;) {
        if (websocket->left == 0) {
            if (read_header(websocket, bytes[at++]) != 0)
                return -1;
            continue;
        }
        size_t part = n - at < websocket->left ? n - at : (size_t)websocket->left;
        if (is_control(websocket->opcode)) {
            memcpy(websocket->control + websocket->control_bytes, bytes + at, part);
            websocket->control_bytes = (uint8_t)(websocket->control_bytes + part);
        } else {
            memmove(bytes + *kept, bytes + at, part);
            *kept += part;
        }
        at += part;
        websocket->left -= part;
        if (websocket->left == 0 && end_frame(websocket) != 0)
            return -1;
    }
    return 0;
}
