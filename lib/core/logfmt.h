/* A line of logfmt: key=value, one space between two. A value that is empty or holds anything else
 * than printable ASCII without space, quote, = and \ is quoted, with JSON's escapes, so that every
 * line parses and no value forges a pair or a line. Pure; any thread. */
#ifndef TALLY_CORE_LOGFMT_H
#define TALLY_CORE_LOGFMT_H

#include <stdarg.h>
#include <stddef.h>

struct logfmt {
    char *text; /* the caller's; NUL at its end after each call */
    size_t bytes, used;
};

/* An empty line in `text`, of 64 bytes at least. What finds no room is cut or left out, its quotes
 * closed. */
void logfmt_begin(struct logfmt *line, char *text, size_t bytes);

/* A pair whose value is always quoted. */
void logfmt_quoted(struct logfmt *line, const char *key, const char *value);

/* Further pairs: a printf format of 511 bytes at most, such as "host=%s port=%d", with one space
 * between two pairs and none within one. Quotes around a value in it (why=\"%s\") count as none.
 * What it makes is cut at 2,047 bytes. */
void logfmt_pairs(struct logfmt *line, const char *format, va_list arguments);

#endif
