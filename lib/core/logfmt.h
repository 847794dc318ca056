/* A line of logfmt: key=value pairs separated by one space. A value is quoted with JSON's escapes
 * if it is empty, or if it holds a space, a quote, =, \ or anything that is not printable ASCII. So
 * every line parses, and no value can forge a pair or a line. Pure; any thread. */
#ifndef TALLY_CORE_LOGFMT_H
#define TALLY_CORE_LOGFMT_H

#include <stdarg.h>
#include <stddef.h>

struct logfmt {
    char *text; /* the caller's; ends with a NUL after each call */
    size_t bytes, used;
};

/* Starts an empty line in `text`, which must have at least 64 bytes. Pairs that do not fit are
 * truncated, with their quotes closed, or left out. */
void logfmt_begin(struct logfmt *line, char *text, size_t bytes);

/* A pair whose value is always quoted. */
void logfmt_quoted(struct logfmt *line, const char *key, const char *value);

/* Appends the pairs of a printf format (log_pairs.h). */
void logfmt_pairs(struct logfmt *line, const char *format, va_list arguments);

#endif
