/* Formats a line into a buffer and writes it with one call. */
#include "daemon/log.h"

#include "core/logfmt.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192 /* a byte may become six bytes: \u00NN */

static const char *log_program = "tally";
static enum log_level log_threshold = LOG_LEVEL_INFO;

static const char *const level_name[] = {"error", "warning", "info", "debug"};

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
    if (level > log_threshold)
        return;
    char text[LINE_MAX_BYTES];
    struct logfmt line;
    struct timespec now;
    struct tm utc;
    logfmt_begin(&line, text, sizeof text - 1); /* minus one for the newline */
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    line.used = strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &utc);
    line.used +=
        (size_t)snprintf(text + line.used, sizeof text - line.used, ".%03dZ level=%s program=%s",
                         (int)(now.tv_nsec / 1000000), level_name[level], log_program);
    logfmt_quoted(&line, "msg", msg);
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        logfmt_pairs(&line, format, arguments);
        va_end(arguments);
    }
    text[line.used++] = '\n';
    /* Uses one write per line, so that lines from several programs on one stderr do not mix. There
     * is nowhere to report a failure. */
    ssize_t written = write(STDERR_FILENO, text, line.used);
    (void)written;
}
