/* A line for the broker's log in logfmt: level=… program=tally-broker-plugin msg="…" key=value.
 * Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_LINE_H
#define TALLY_BROKER_PLUGIN_LINE_H

#include <stdarg.h>

#define LINE_MAX_BYTES 4096

/* Writes the line to `out`, cut at LINE_MAX_BYTES; `format` as for logfmt_pairs (core/logfmt.h), ""
 * for none. Each % is doubled: the broker truncates formatted arguments at some 500 bytes, but not
 * the format, so the line must be the format. */
void line_format(char out[LINE_MAX_BYTES], const char *level, const char *msg, const char *format,
                 va_list arguments);

#endif
