/* Splits the pairs of a log line by the format that they were printed with, for both forms of a
 * line (logfmt.h, logjson.h). The format decides where a pair starts and ends and what its key is;
 * a value never does. Pure; any thread. */
#ifndef TALLY_CORE_LOG_PAIRS_H
#define TALLY_CORE_LOG_PAIRS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define LOG_PAIRS_FORMAT_MAX_BYTES 512
#define LOG_PAIRS_MAX_BYTES 2048

struct log_pair {
    const char *key; /* from the format; not NUL-terminated */
    size_t key_bytes;
    const char *value; /* as printed; not NUL-terminated */
    size_t bytes;
    bool number; /* the whole value is one conversion of a number, such as %d or %.1f */
};

/* Called with each pair in turn. The pair's text is valid during the call. */
typedef void (*log_pairs_fn)(void *user, const struct log_pair *pair);

/* Prints a format of at most 511 bytes, such as "host=%s port=%d", with one space between pairs and
 * none inside a pair, and gives `fn` its pairs. Quotes around a value in the format (why=\"%s\")
 * are ignored. A part of the format without a literal key and '=' is skipped. The printed text is
 * cut at 2,047 bytes: a string at a whole character of UTF-8, and a number is left out. */
void log_pairs(const char *format, va_list arguments, log_pairs_fn fn, void *user);

#endif
