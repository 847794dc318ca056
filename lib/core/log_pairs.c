/* Prints ever longer prefixes of the format: if a prefix that ends between two pairs prints a
 * prefix of the text, those pairs extend that far. */
#include "core/log_pairs.h"

#include <stdio.h>
#include <string.h>

/* How much of a cut text is whole characters. Bytes that are not UTF-8 stay. */
static size_t whole_characters(const char *text, size_t bytes)
{
    size_t back = 0;
    while (back < 3 && back < bytes && ((unsigned char)text[bytes - back - 1] & 0xc0) == 0x80)
        back++;
    if (back == bytes)
        return bytes;
    unsigned char first = (unsigned char)text[bytes - back - 1];
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    return more > back ? bytes - back - 1 : bytes;
}

/* Whether a value's format is one conversion that prints a number. */
static bool prints_number(const char *format, size_t bytes)
{
    return bytes >= 2 && format[0] == '%' && memchr(format + 1, '%', bytes - 1) == NULL &&
           strcspn(format + 1, "sciduxXfFeEgGp") == bytes - 2 &&
           strchr("idufFeEgG", format[bytes - 1]) != NULL;
}

/* One pair: its part of the format, and what that printed. A number that was cut is left out,
 * because the rest is another number. */
static void log_pairs_give(const char *format, size_t format_bytes, const char *text, size_t bytes,
                           bool cut, log_pairs_fn fn, void *user)
{
    const char *equals = memchr(format, '=', format_bytes);
    size_t key_bytes = equals == NULL ? 0 : (size_t)(equals - format);
    if (key_bytes == 0 || memchr(format, '%', key_bytes) != NULL || bytes <= key_bytes)
        return;
    struct log_pair pair = {
        .key = format,
        .key_bytes = key_bytes,
        .value = text + key_bytes + 1,
        .bytes = bytes - key_bytes - 1,
        .number = prints_number(equals + 1, format_bytes - key_bytes - 1),
    };
    if (cut && pair.number)
        return;
    if (equals[1] == '"' && pair.bytes >= 1) {
        pair.value++;
        pair.bytes -= pair.bytes >= 2 ? 2 : 1; /* one: the text was cut */
    }
    fn(user, &pair);
}

void log_pairs(const char *format, va_list arguments, log_pairs_fn fn, void *user)
{
    char text[LOG_PAIRS_MAX_BYTES], part[LOG_PAIRS_FORMAT_MAX_BYTES];
    size_t begin = 0;
    va_list again;
    va_copy(again, arguments);
    int all = vsnprintf(text, sizeof text, format, again);
    va_end(again);
    if (all < 0)
        return;
    size_t used = (size_t)all < sizeof text ? (size_t)all : whole_characters(text, sizeof text - 1);
    for (const char *at = format; *at != '\0' && begin < used;) {
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
        size_t end = (size_t)made < used ? (size_t)made : used;
        log_pairs_give(from, (size_t)(at - from), text + begin, end - begin, end < (size_t)made, fn,
                       user);
        begin = (size_t)made + 1; /* after the space */
    }
}
