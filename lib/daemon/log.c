#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FORMAT_MAX_BYTES 256
#define PAIRS_MAX_BYTES 1024
#define LINE_MAX_BYTES 8192 /* a byte may become six: \u00NN */

static const char *log_program = "tally";
static enum log_level log_threshold = LOG_LEVEL_INFO;

static const char *const level_name[] = {"error", "warning", "info", "debug"};

struct line {
    size_t used;
    char text[LINE_MAX_BYTES];
};

/* Whether it had room: a closing quote and the newline have in any case. */
static bool add_bytes(struct line *line, const char *text, size_t bytes)
{
    if (line->used + bytes > sizeof line->text - 2)
        return false;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
    return true;
}

static void add(struct line *line, const char *text)
{
    (void)add_bytes(line, text, strlen(text));
}

/* As JSON escapes, which every logfmt parser reads. Only printable ASCII goes out as it is: a
 * terminal obeys control characters beyond ASCII, too. These are shown as text, \x9f, as they may
 * be of no encoding. */
static void add_escaped(struct line *line, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        char one[8];
        if (c == '\n')
            snprintf(one, sizeof one, "\\n");
        else if (c == '"' || c == '\\')
            snprintf(one, sizeof one, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            snprintf(one, sizeof one, "\\u%04x", c);
        else if (c > 0x7f)
            snprintf(one, sizeof one, "\\\\x%02x", c);
        else
            snprintf(one, sizeof one, "%c", c);
        if (!add_bytes(line, one, strlen(one)))
            return;
    }
}

static void add_quoted(struct line *line, const char *text, size_t bytes)
{
    if (!add_bytes(line, "\"", 1))
        return;
    add_escaped(line, text, bytes);
    line->text[line->used++] = '"';
}

static bool plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"=\\", text[i]) != NULL)
            return false;
    return bytes > 0;
}

/* One pair as it was made of its part of the format, whose key is plain. */
static void add_pair(struct line *line, const char *pair, size_t bytes)
{
    const char *equals = memchr(pair, '=', bytes);
    if (equals == NULL)
        return;
    size_t key_bytes = (size_t)(equals - pair) + 1, value_bytes = bytes - key_bytes;
    /* A key alone would be a pair of another meaning. */
    if (line->used + key_bytes + 3 > sizeof line->text - 2)
        return;
    add(line, " ");
    (void)add_bytes(line, pair, key_bytes);
    if (!plain(equals + 1, value_bytes) || !add_bytes(line, equals + 1, value_bytes))
        add_quoted(line, equals + 1, value_bytes);
}

/* Where a pair begins and ends, the format says, and never a value: as long as a beginning of the
 * format that ends between two pairs makes the text, so far those pairs reach. */
static void add_pairs(struct line *line, const char *format, va_list arguments)
{
    char pairs[PAIRS_MAX_BYTES], part[FORMAT_MAX_BYTES];
    size_t begin = 0;
    va_list again;
    va_copy(again, arguments);
    (void)vsnprintf(pairs, sizeof pairs, format, again);
    va_end(again);
    for (const char *at = format; *at != '\0' && begin < sizeof pairs;) {
        at += strcspn(at + 1, " ") + 1;
        if ((size_t)(at - format) >= sizeof part)
            return;
        memcpy(part, format, (size_t)(at - format));
        part[at - format] = '\0';
        va_copy(again, arguments);
        int made = vsnprintf(NULL, 0, part, again);
        va_end(again);
        if (made < 0)
            return;
        size_t end = (size_t)made < sizeof pairs ? (size_t)made : sizeof pairs - 1;
        add_pair(line, pairs + begin, end - begin);
        begin = (size_t)made + 1; /* behind the space */
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
    add(&line, " msg=");
    add_quoted(&line, msg, strlen(msg));
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        add_pairs(&line, format, arguments);
        va_end(arguments);
    }
    line.text[line.used++] = '\n';
    /* One write a line, so that lines of several programs on one stderr do not mix. Nobody could be
     * told of a failure. */
    ssize_t written = write(STDERR_FILENO, line.text, line.used);
    (void)written;
}
