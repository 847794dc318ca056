/* Appends to a bounded line; a value is quoted only where it must be. */
#include "core/logfmt.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_MAX_BYTES 512
#define PAIRS_MAX_BYTES 2048
#define TAIL_BYTES 2 /* a closing quote and the NUL */

void logfmt_begin(struct logfmt *line, char *text, size_t bytes)
{
    *line = (struct logfmt){.text = text, .bytes = bytes};
    text[0] = '\0';
}

/* Returns whether there was room. A closing quote always has room. */
static bool logfmt_add(struct logfmt *line, const char *text, size_t bytes)
{
    if (line->used + bytes + TAIL_BYTES > line->bytes)
        return false;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
    line->text[line->used] = '\0';
    return true;
}

/* Writes only printable ASCII unchanged, because terminals also obey control characters beyond
 * ASCII. Other bytes are shown as text, \x9f, because their encoding is unknown. */
static void add_quoted(struct logfmt *line, const char *text, size_t bytes)
{
    bool room = logfmt_add(line, "\"", 1);
    for (size_t i = 0; i < bytes && room; i++) {
        const unsigned char c = (unsigned char)text[i];
        char one[8];
        int n;
        if (c == '\n')
            n = snprintf(one, sizeof one, "\\n");
        else if (c == '"' || c == '\\')
            n = snprintf(one, sizeof one, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            n = snprintf(one, sizeof one, "\\u%04x", c);
        else if (c > 0x7f)
            n = snprintf(one, sizeof one, "\\\\x%02x", c);
        else
            n = snprintf(one, sizeof one, "%c", c);
        room = logfmt_add(line, one, (size_t)n);
    }
    line->text[line->used++] = '"';
    line->text[line->used] = '\0';
}

static bool plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"=\\", text[i]) != NULL)
            return false;
    return bytes > 0;
}

/* Writes the key and its =, if there is room for them and at least an empty value. */
static bool add_key(struct logfmt *line, const char *key, size_t bytes)
{
    if (line->used + bytes + 3 + TAIL_BYTES > line->bytes)
        return false;
    if (line->used > 0)
        (void)logfmt_add(line, " ", 1);
    return logfmt_add(line, key, bytes);
}

void logfmt_quoted(struct logfmt *line, const char *key, const char *value)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%s=", key);
    if (add_key(line, text, (size_t)n))
        add_quoted(line, value, strlen(value));
}

/* Writes one pair, as formatted from its part of the format. */
static void add_pair(struct logfmt *line, const char *pair, size_t bytes, bool in_quotes)
{
    const char *equals = memchr(pair, '=', bytes);
    if (equals == NULL)
        return;
    const char *value = equals + 1;
    size_t key_bytes = (size_t)(value - pair), value_bytes = bytes - key_bytes;
    if (in_quotes && value_bytes >= 1) {
        value++;
        value_bytes -= value_bytes >= 2 ? 2 : 1; /* one: the text was truncated */
    }
    if (!add_key(line, pair, key_bytes))
        return;
    if (!plain(value, value_bytes) || !logfmt_add(line, value, value_bytes))
        add_quoted(line, value, value_bytes);
}

/* The format decides where a pair starts and ends; a value never does. If a prefix of the format
 * that ends between two pairs produces a prefix of the text, those pairs extend that far. */
void logfmt_pairs(struct logfmt *line, const char *format, va_list arguments)
{
    char pairs[PAIRS_MAX_BYTES], part[FORMAT_MAX_BYTES];
    size_t begin = 0;
    va_list again;
    va_copy(again, arguments);
    (void)vsnprintf(pairs, sizeof pairs, format, again);
    va_end(again);
    for (const char *at = format; *at != '\0' && begin < sizeof pairs;) {
        const char *from = at == format ? at : at + 1;
        at = from + strcspn(from, " ");
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
        const char *equals = strchr(part + (from - format), '=');
        add_pair(line, pairs + begin, end - begin, equals != NULL && equals[1] == '"');
        begin = (size_t)made + 1; /* after the space */
    }
}
