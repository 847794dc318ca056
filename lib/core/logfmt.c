/* Appends to a bounded line; a value is quoted only where it must be. */
#include "core/logfmt.h"

#include "core/log_pairs.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

static void logfmt_take(void *user, const struct log_pair *pair)
{
    struct logfmt *line = user;
    char key[LOG_PAIRS_FORMAT_MAX_BYTES + 1];
    memcpy(key, pair->key, pair->key_bytes);
    key[pair->key_bytes] = '=';
    if (!add_key(line, key, pair->key_bytes + 1))
        return;
    if (!plain(pair->value, pair->bytes) || !logfmt_add(line, pair->value, pair->bytes))
        add_quoted(line, pair->value, pair->bytes);
}

void logfmt_pairs(struct logfmt *line, const char *format, va_list arguments)
{
    log_pairs(format, arguments, logfmt_take, line);
}
