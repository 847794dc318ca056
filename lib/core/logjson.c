/* Appends members to a bounded line. Each call checks that a quote, a brace and a NUL still fit, so
 * that the object can end at any moment. */
#include "core/logjson.h"

#include "core/log_pairs.h"
#include "core/scan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TAIL_BYTES 3 /* a closing quote, the brace and the NUL */
#define ONE_BYTES 16 /* a surrogate pair has 12 */

/* Returns whether there was room. */
static bool logjson_add(struct logjson *line, const char *text, size_t bytes)
{
    if (line->used + bytes + TAIL_BYTES > line->bytes)
        return false;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
    line->text[line->used] = '\0';
    return true;
}

void logjson_begin(struct logjson *line, char *text, size_t bytes)
{
    *line = (struct logjson){.text = text, .bytes = bytes};
    text[0] = '\0';
    (void)logjson_add(line, "{", 1);
}

void logjson_end(struct logjson *line)
{
    line->text[line->used++] = '}';
    line->text[line->used] = '\0';
}

/* Writes a character beyond the Basic Multilingual Plane as two units, as JSON demands. */
static int escaped(char out[ONE_BYTES], const unsigned char *at, size_t bytes)
{
    uint32_t code = at[0] & (0xffu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | (at[i] & 0x3fu);
    if (code < 0x10000)
        return snprintf(out, ONE_BYTES, "\\u%04" PRIx32, code);
    code -= 0x10000;
    return snprintf(out, ONE_BYTES, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (code >> 10),
                    0xdc00 + (code & 0x3ff));
}

/* One character, or one byte that belongs to none. Returns how many bytes it had. */
static size_t one_character(char out[ONE_BYTES], int *out_bytes, const unsigned char *at,
                            const unsigned char *end)
{
    size_t bytes = 1;
    if (*at == '\n')
        *out_bytes = snprintf(out, ONE_BYTES, "\\n");
    else if (*at == '"' || *at == '\\')
        *out_bytes = snprintf(out, ONE_BYTES, "\\%c", *at);
    else if (*at < 0x20 || *at == 0x7f)
        *out_bytes = snprintf(out, ONE_BYTES, "\\u%04x", *at);
    else if (*at < 0x80)
        *out_bytes = snprintf(out, ONE_BYTES, "%c", *at);
    else if ((bytes = scan_utf8(at, end)) > 0)
        *out_bytes = escaped(out, at, bytes);
    else {
        *out_bytes = snprintf(out, ONE_BYTES, "\\ufffd");
        bytes = 1;
    }
    return bytes;
}

static void add_string(struct logjson *line, const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + bytes;
    bool room = logjson_add(line, "\"", 1);
    while (at < end && room) {
        char one[ONE_BYTES];
        int n;
        at += one_character(one, &n, at, end);
        room = logjson_add(line, one, (size_t)n);
    }
    line->text[line->used++] = '"';
    line->text[line->used] = '\0';
}

/* Writes the key, if there is room for it and `more` bytes of a value. */
static bool add_name(struct logjson *line, const char *key, size_t bytes, size_t more)
{
    bool first = line->used == 1;
    if (line->used + bytes + more + 4 + TAIL_BYTES > line->bytes)
        return false;
    return (first || logjson_add(line, ",", 1)) && logjson_add(line, "\"", 1) &&
           logjson_add(line, key, bytes) && logjson_add(line, "\":", 2);
}

void logjson_text(struct logjson *line, const char *key, const char *value)
{
    if (add_name(line, key, strlen(key), 1))
        add_string(line, value, strlen(value));
}

static size_t digits(const char *at, const char *end)
{
    size_t n = 0;
    while (at + n < end && at[n] >= '0' && at[n] <= '9')
        n++;
    return n;
}

/* Whether it is a number of JSON: inf, nan, 007 and a cut exponent are not. */
static bool is_number(const char *text, size_t bytes)
{
    const char *at = text, *end = text + bytes;
    if (at < end && *at == '-')
        at++;
    size_t whole = digits(at, end);
    if (whole == 0 || (whole > 1 && *at == '0'))
        return false;
    at += whole;
    if (at < end && *at == '.') {
        size_t fraction = digits(at + 1, end);
        if (fraction == 0)
            return false;
        at += fraction + 1;
    }
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        size_t exponent = digits(at, end);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return at == end;
}

static void logjson_take(void *user, const struct log_pair *pair)
{
    struct logjson *line = user;
    bool number = pair->number && is_number(pair->value, pair->bytes);
    if (!add_name(line, pair->key, pair->key_bytes, number ? pair->bytes : 1))
        return;
    if (number)
        (void)logjson_add(line, pair->value, pair->bytes);
    else
        add_string(line, pair->value, pair->bytes);
}

void logjson_pairs(struct logjson *line, const char *format, va_list arguments)
{
    log_pairs(format, arguments, logjson_take, line);
}
