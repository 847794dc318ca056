/* Formats a log line as logfmt, and doubles its % because the broker takes it for a format. */
#include "line.h"

#include "core/logfmt.h"

#include <stdio.h>
#include <string.h>

void line_format(char out[LINE_MAX_BYTES], const char *level, const char *msg, const char *format,
                 va_list arguments)
{
    char text[LINE_MAX_BYTES / 2]; /* all of it may be % */
    struct logfmt line;
    size_t used = 0;
    logfmt_begin(&line, text, sizeof text);
    line.used = (size_t)snprintf(text, sizeof text, "level=%s program=tally-broker-plugin", level);
    logfmt_quoted(&line, "msg", msg);
    logfmt_pairs(&line, format, arguments);
    for (const char *at = text; *at != '\0'; at++) {
        out[used++] = *at;
        if (*at == '%')
            out[used++] = '%';
    }
    out[used] = '\0';
}
