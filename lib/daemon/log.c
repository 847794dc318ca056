/* Formats a line into a buffer and writes it with one call. */
#include "daemon/log.h"

#include "core/logfmt.h"
#include "core/logjson.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192 /* a byte may become six bytes: \u00NN */
#define TIME_BYTES 32
#define PRIORITY_BYTES 3

static const char *log_program = "tally";
static enum log_level log_threshold = LOG_LEVEL_INFO;
static enum log_format log_form = LOG_FORMAT_LOGFMT;
static bool log_journal = false;

static const char *const level_name[] = {"error", "warning", "info", "debug"};
static const char *const level_priority[] = {"<3>", "<4>", "<6>", "<7>"};

/* Whether stderr is the journal's stream: JOURNAL_STREAM is <device>:<inode> (systemd.exec(5)). A
 * program that the service starts inherits the variable, but may have another stderr. */
static bool is_journal(void)
{
    struct stat stream;
    char name[64];
    const char *expected = getenv("JOURNAL_STREAM");
    if (expected == NULL || fstat(STDERR_FILENO, &stream) != 0)
        return false;
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)stream.st_dev,
             (unsigned long long)stream.st_ino);
    return strcmp(name, expected) == 0;
}

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
    log_form = LOG_FORMAT_LOGFMT;
    log_journal = is_journal();
}

void log_use(enum log_format format)
{
    log_form = format;
}

static void print_time(char out[TIME_BYTES])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + used, TIME_BYTES - used, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static size_t print_logfmt(char *text, size_t bytes, const char *time, const char *level,
                           const char *msg, const char *format, va_list arguments)
{
    struct logfmt line;
    logfmt_begin(&line, text, bytes);
    line.used =
        (size_t)snprintf(text, bytes, "time=%s level=%s program=%s", time, level, log_program);
    logfmt_quoted(&line, "msg", msg);
    if (format != NULL)
        logfmt_pairs(&line, format, arguments);
    return line.used;
}

static size_t print_json(char *text, size_t bytes, const char *time, const char *level,
                         const char *msg, const char *format, va_list arguments)
{
    struct logjson line;
    logjson_begin(&line, text, bytes);
    logjson_text(&line, "time", time);
    logjson_text(&line, "level", level);
    logjson_text(&line, "program", log_program);
    logjson_text(&line, "msg", msg);
    if (format != NULL)
        logjson_pairs(&line, format, arguments);
    logjson_end(&line);
    return line.used;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
    if (level > log_threshold)
        return;
    char text[LINE_MAX_BYTES], time[TIME_BYTES];
    size_t used = log_journal ? PRIORITY_BYTES : 0, room = sizeof text - used - 1; /* a newline */
    va_list arguments;
    memcpy(text, level_priority[level], used);
    print_time(time);
    va_start(arguments, format);
    used += log_form == LOG_FORMAT_JSON
                ? print_json(text + used, room, time, level_name[level], msg, format, arguments)
                : print_logfmt(text + used, room, time, level_name[level], msg, format, arguments);
    va_end(arguments);
    text[used++] = '\n';
    /* Uses one write per line, so that lines from several programs on one stderr do not mix. There
     * is nowhere to report a failure. */
    ssize_t written = write(STDERR_FILENO, text, used);
    (void)written;
}
