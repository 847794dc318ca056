/* One function for each item of JSON: space, string, whole number, punctuation. */
#include "core/scan.h"

#include "core/bytes.h"

#include <string.h>

size_t scan_line(const void *payload, size_t bytes)
{
    const char *text = payload;
    if (bytes == 0 || text[bytes - 1] != '\n')
        return bytes;
    bytes--;
    return bytes > 0 && text[bytes - 1] == '\r' ? bytes - 1 : bytes;
}

static bool append(struct scan_text *text, unsigned char c)
{
    if (text->n == text->max)
        return false;
    text->bytes[text->n++] = (char)c;
    return true;
}

static bool append_utf8(struct scan_text *text, uint32_t code)
{
    if (code < 0x80)
        return append(text, (unsigned char)code);
    if (code < 0x800)
        return append(text, (unsigned char)(0xc0 | code >> 6)) &&
               append(text, (unsigned char)(0x80 | (code & 63)));
    if (code < 0x10000)
        return append(text, (unsigned char)(0xe0 | code >> 12)) &&
               append(text, (unsigned char)(0x80 | (code >> 6 & 63))) &&
               append(text, (unsigned char)(0x80 | (code & 63)));
    return append(text, (unsigned char)(0xf0 | code >> 18)) &&
           append(text, (unsigned char)(0x80 | (code >> 12 & 63))) &&
           append(text, (unsigned char)(0x80 | (code >> 6 & 63))) &&
           append(text, (unsigned char)(0x80 | (code & 63)));
}

static bool take_hex4(struct scan *in, uint32_t *code)
{
    if (in->end - in->at < 4)
        return false;
    *code = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = *in->at++;
        if (c >= '0' && c <= '9')
            *code = *code << 4 | (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            *code = *code << 4 | (uint32_t)((c | 32) - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* Decodes after "\u": one unit, or two that form a surrogate pair. */
static bool take_unicode_escape(struct scan *in, struct scan_text *text)
{
    uint32_t code, low;
    if (!take_hex4(in, &code) || code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!scan_take(in, '\\') || !scan_take(in, 'u') || !take_hex4(in, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return append_utf8(text, code);
}

/* Decodes an escape after its backslash. */
static bool take_escape(struct scan *in, struct scan_text *text)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return false;
    unsigned char c = *in->at++;
    if (c == 'u')
        return take_unicode_escape(in, text);
    const char *found = c == 0 ? NULL : strchr(from, c);
    return found != NULL && append(text, (unsigned char)to[found - from]);
}

size_t scan_utf8(const unsigned char *at, const unsigned char *end)
{
    unsigned char first = *at;
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    unsigned char low = 0x80, high = 0xbf; /* the range of the second byte */
    if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) <= more)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i <= more; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return more + 1;
}

static bool take_utf8(struct scan *in, struct scan_text *text)
{
    size_t bytes = scan_utf8(in->at, in->end);
    for (size_t i = 0; i < bytes; i++)
        if (!append(text, *in->at++))
            return false;
    return bytes > 0;
}

/* The first of eight bytes that is not plain: a control character, a quote, a backslash, or beyond
 * ASCII; 8 if there is none. Each term marks such a byte in its top bit. A borrow may mark further
 * ones, but only above a byte that is marked already, and the lowest counts. */
static size_t plain_of_eight(const unsigned char *at)
{
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    uint64_t bytes = bytes_get_u64(at);
    uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
    uint64_t marked = ((bytes - ones * 0x20) | (quote - ones) | (backslash - ones) | bytes) & tops;
    return marked == 0 ? 8 : (size_t)__builtin_ctzll(marked) / 8;
}

/* Takes plain bytes, eight at a time. Leaves the rest to the loop that takes byte by byte. */
static void take_plain(struct scan *in, struct scan_text *text)
{
    while (in->end - in->at >= 8 && text->max - text->n >= 8) {
        size_t plain = plain_of_eight(in->at);
        memcpy(text->bytes + text->n, in->at, 8); /* what is not plain is overwritten or not used */
        in->at += plain;
        text->n += plain;
        if (plain < 8)
            return;
    }
}

bool scan_string(struct scan *in, struct scan_text *text)
{
    if (!scan_take(in, '"'))
        return false;
    take_plain(in, text);
    while (in->at < in->end) {
        unsigned char c = *in->at;
        bool good;
        if (c == '"') {
            in->at++;
            return true;
        }
        if (c < 0x20)
            return false;
        if (c >= 0x80) {
            good = take_utf8(in, text);
        } else {
            in->at++;
            good = c == '\\' ? take_escape(in, text) : append(text, c);
        }
        if (!good)
            return false;
    }
    return false;
}

bool scan_whole(struct scan *in, uint64_t max, uint64_t *out)
{
    const unsigned char *begin = in->at;
    uint64_t value = 0;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*in->at++ - '0');
    if (in->at == begin || value > max || (*begin == '0' && in->at - begin > 1))
        return false;
    *out = value;
    return true;
}
