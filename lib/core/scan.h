/* The pieces that payloads in JSON are read by, from left to right: for parsers that must not
 * allocate, and are strict where cJSON is lenient (repeated members, numbers beyond a double, bytes
 * after the value). Each function takes what it names from the input's beginning; where it returns
 * false that is not there, and how much was taken is undefined. Pure; any thread. */
#ifndef TALLY_CORE_SCAN_H
#define TALLY_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left of the payload. */
struct scan {
    const unsigned char *at, *end;
};

/* A decoded string in a buffer of the caller's, not NUL-terminated. */
struct scan_text {
    char *bytes;
    size_t n, max;
};

void scan_space(struct scan *in);

/* How many of the `bytes` bytes at `payload` come before one line end (LF, or CR LF) that ends
 * them, as `echo` and editors write it; all of them where there is none. */
size_t scan_line(const void *payload, size_t bytes);

bool scan_take(struct scan *in, unsigned char c);

/* A string, decoded behind what `text` holds already. It may use every escape of RFC 8259; a NUL, a
 * lone surrogate, invalid UTF-8, or more than there is room for: false. */
bool scan_string(struct scan *in, struct scan_text *text);

/* A whole number up to `max` (below 2^60) without sign, leading zero, fraction or exponent (what
 * follows the digits is the caller's to judge). */
bool scan_whole(struct scan *in, uint64_t max, uint64_t *out);

#endif
