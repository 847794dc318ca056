#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX_BYTES 1024
#define LINE_MAX_BYTES 4096 /* a byte may become four: \xNN */

static const char *log_program = "tally";
static enum log_level log_threshold = LOG_LEVEL_INFO;

static const char *const level_name[] = {"error", "warning", "info", "debug"};

struct line {
    size_t used;
    char text[LINE_MAX_BYTES];
};

static void add(struct line *line, const char *text)
{
    size_t bytes = strlen(text);
    /* One byte stays free for the newline. */
    if (bytes > sizeof line->text - 1 - line->used)
        return;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
}

/* Only printable ASCII goes out as it is: a terminal obeys control characters beyond ASCII, too. */
static void add_escaped(struct line *line, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
        char one[5];
        if (*at == '\n')
            snprintf(one, sizeof one, "\\n");
        else if (*at == '"' || *at == '\\')
            snprintf(one, sizeof one, "\\%c", *at);
        else if (*at < 0x20 || *at > 0x7e)
            snprintf(one, sizeof one, "\\x%02x", *at);
        else
            snprintf(one, sizeof one, "%c", *at);
        add(line, one);
    }
}

static void add_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &utc);
    add(line, text);
    snprintf(text, sizeof text, ".%03dZ", (int)(now.tv_nsec / 1000000));
    add(line, text);
}

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
    if (level > log_threshold)
        return;
    struct line line = {.used = 0};
    add_time(&line);
    add(&line, " level=");
    add(&line, level_name[level]);
    add(&line, " program=");
    add(&line, log_program);
    add(&line, " msg=\"");
    add_escaped(&line, msg);
    add(&line, "\"");
    if (format != NULL) {
        char pairs[PAIRS_MAX_BYTES];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(pairs, sizeof pairs, format, arguments);
        va_end(arguments);
        add(&line, " ");
        add_escaped(&line, pairs);
    }
    line.text[line.used++] = '\n';
    /* One write a line, so that lines of several programs on one stderr do not mix. Nobody could be
     * told of a failure. */
    ssize_t written = write(STDERR_FILENO, line.text, line.used);
    (void)written;
}
