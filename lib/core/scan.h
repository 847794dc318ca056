/* Building blocks for parsing JSON payloads from left to right, for parsers that must not allocate
 * and that are strict where cJSON is lenient (repeated members, numbers beyond a double, bytes
 * after the value). Each function consumes the item it names from the start of the input. If the
 * item is not there it returns false, and how much it consumed is undefined. Pure; any thread. */
#ifndef TALLY_CORE_SCAN_H
#define TALLY_CORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rest of the payload. */
struct scan {
    const unsigned char *at, *end;
};

/* A decoded string in the caller's buffer, not NUL-terminated. */
struct scan_text {
    char *bytes;
    size_t n, max;
};

static inline void scan_space(struct scan *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

/* How many of the `bytes` bytes at `payload` precede a final line end (LF, or CR LF), such as
 * `echo` and editors write; all of them if it does not end with one. Only one line end is
 * removed. */
size_t scan_line(const void *payload, size_t bytes);

static inline bool scan_take(struct scan *in, unsigned char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* The length of the character beyond ASCII at `at`, which is before `end`: 2 to 4 bytes,
 * well-formed according to table 3-7 of the Unicode standard. 0 if there is none. */
size_t scan_utf8(const unsigned char *at, const unsigned char *end);

/* A string. Appends the decoded bytes to `text`. Every escape of RFC 8259 is allowed. Returns false
 * for a NUL, a lone surrogate, invalid UTF-8, or a string that does not fit. */
bool scan_string(struct scan *in, struct scan_text *text);

/* A whole number up to `max` (below 2^60) without sign, leading zero, fraction or exponent. The
 * caller checks what follows the digits. */
bool scan_whole(struct scan *in, uint64_t max, uint64_t *out);

#endif
