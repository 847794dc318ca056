#include "core/reaction.h"

#include <stdbool.h>
#include <string.h>

/* What is left of the payload. */
struct input {
    const unsigned char *at, *end;
};

static void skip_space(struct input *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct input *in, unsigned char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* A decoded string in a buffer of the caller's. */
struct text {
    char *bytes;
    size_t n, max;
};

static bool append(struct text *text, unsigned char c)
{
    if (text->n == text->max)
        return false;
    text->bytes[text->n++] = (char)c;
    return true;
}

static bool append_utf8(struct text *text, uint32_t code)
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

static bool take_hex4(struct input *in, uint32_t *code)
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

/* After "\u": one unit, or two that are a surrogate pair. */
static bool take_unicode_escape(struct input *in, struct text *text)
{
    uint32_t code, low;
    if (!take_hex4(in, &code) || code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(in, '\\') || !take(in, 'u') || !take_hex4(in, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return append_utf8(text, code);
}

/* After a backslash. */
static bool take_escape(struct input *in, struct text *text)
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

/* One character beyond ASCII, well-formed by table 3-7 of the Unicode standard. */
static bool take_utf8(struct input *in, struct text *text)
{
    unsigned char first = *in->at;
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    if (first < 0xc2 || first > 0xf4 || (size_t)(in->end - in->at) <= more)
        return false;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (in->at[1] < low || in->at[1] > high)
        return false;
    for (unsigned i = 2; i <= more; i++)
        if (in->at[i] < 0x80 || in->at[i] > 0xbf)
            return false;
    for (unsigned i = 0; i <= more; i++)
        if (!append(text, *in->at++))
            return false;
    return true;
}

static bool take_string(struct input *in, struct text *text)
{
    if (!take(in, '"'))
        return false;
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

/* A whole number up to `max` without sign, leading zero, fraction or exponent (what follows the
 * digits is the caller's to judge). */
static bool take_whole(struct input *in, uint32_t max, uint32_t *out)
{
    const unsigned char *begin = in->at;
    uint64_t value = 0;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*in->at++ - '0');
    if (in->at == begin || value > max || (*begin == '0' && in->at - begin > 1))
        return false;
    *out = (uint32_t)value;
    return true;
}

enum { MEMBER_REACTION = 1, MEMBER_AGE = 2, MEMBER_READER = 4 };

static unsigned member(const struct text *name)
{
    static const struct {
        const char *name;
        unsigned member;
    } members[] = {
        {"reaction", MEMBER_REACTION}, {"age_ms", MEMBER_AGE}, {"reader", MEMBER_READER}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (name->n == strlen(members[i].name) &&
            memcmp(name->bytes, members[i].name, name->n) == 0)
            return members[i].member;
    return 0;
}

/* One `"name":value`. Notes in `seen` which it was. */
static bool take_member(struct input *in, unsigned *seen, struct text *kind, struct reaction *out)
{
    char buffer[16];
    struct text name = {buffer, 0, sizeof buffer};
    struct text reader = {out->reader, 0, sizeof out->reader};

    if (!take_string(in, &name))
        return false;
    unsigned which = member(&name);
    skip_space(in);
    if (which == 0 || (*seen & which) || !take(in, ':'))
        return false;
    *seen |= which;
    skip_space(in);
    if (which == MEMBER_REACTION)
        return take_string(in, kind);
    if (which == MEMBER_AGE)
        return take_whole(in, REACTION_AGE_MAX_MS, &out->age_ms);
    if (!take_string(in, &reader) || reader.n == 0)
        return false;
    out->reader_bytes = reader.n;
    return true;
}

static bool take_object(struct input *in, struct text *kind, struct reaction *out)
{
    unsigned seen = 0;
    skip_space(in);
    if (!take(in, '{'))
        return false;
    do {
        skip_space(in);
        if (!take_member(in, &seen, kind, out))
            return false;
        skip_space(in);
    } while (take(in, ','));
    if (!take(in, '}'))
        return false;
    skip_space(in);
    return in->at == in->end && (seen & MEMBER_REACTION);
}

enum reason reaction_parse(const void *payload, size_t bytes, const struct kind_table *kinds,
                           struct reaction *out)
{
    char buffer[KIND_NAME_MAX_BYTES];
    struct text kind = {buffer, 0, sizeof buffer};
    const char *name = payload;
    size_t name_bytes = bytes;

    out->kind = KIND_NONE;
    out->age_ms = 0;
    out->reader_bytes = 0;
    if (bytes == 0)
        return REASON_NONE;
    if (bytes > REACTION_PAYLOAD_MAX_BYTES)
        return REASON_BAD_PAYLOAD;
    if (!kind_name_valid(name, name_bytes)) {
        struct input in = {payload, (const unsigned char *)payload + bytes};
        if (!take_object(&in, &kind, out) || !kind_name_valid(kind.bytes, kind.n))
            return REASON_BAD_PAYLOAD;
        name = kind.bytes;
        name_bytes = kind.n;
    }
    out->kind = kind_find(kinds, name, name_bytes);
    return out->kind == KIND_UNKNOWN ? REASON_UNKNOWN_KIND : REASON_NONE;
}
