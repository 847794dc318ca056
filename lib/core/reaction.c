/* Parses text and JSON with the building blocks of scan.c, without allocating. */
#include "core/reaction.h"

#include "core/scan.h"

#include <stdbool.h>
#include <string.h>

enum { MEMBER_REACTION = 1, MEMBER_AGE = 2, MEMBER_READER = 4 };

static unsigned reaction_member(const struct scan_text *name)
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

/* One `"name":value`. Records in `seen` which member it was. */
static bool take_member(struct scan *in, unsigned *seen, struct scan_text *kind,
                        struct reaction *out)
{
    char buffer[16];
    struct scan_text name = {buffer, 0, sizeof buffer};
    struct scan_text reader = {out->reader, 0, sizeof out->reader};

    if (!scan_string(in, &name))
        return false;
    unsigned which = reaction_member(&name);
    scan_space(in);
    if (which == 0 || (*seen & which) || !scan_take(in, ':'))
        return false;
    *seen |= which;
    scan_space(in);
    if (which == MEMBER_REACTION)
        return scan_string(in, kind);
    if (which == MEMBER_AGE) {
        uint64_t age_ms;
        if (!scan_whole(in, REACTION_AGE_MAX_MS, &age_ms))
            return false;
        out->age_ms = (uint32_t)age_ms;
        return true;
    }
    if (!scan_string(in, &reader) || reader.n == 0)
        return false;
    out->reader_bytes = reader.n;
    return true;
}

static bool take_object(struct scan *in, struct scan_text *kind, struct reaction *out)
{
    unsigned seen = 0;
    scan_space(in);
    if (!scan_take(in, '{'))
        return false;
    do {
        scan_space(in);
        if (!take_member(in, &seen, kind, out))
            return false;
        scan_space(in);
    } while (scan_take(in, ','));
    if (!scan_take(in, '}'))
        return false;
    scan_space(in);
    return in->at == in->end && (seen & MEMBER_REACTION);
}

enum reason reaction_parse(const void *payload, size_t bytes, const struct kind_table *kinds,
                           struct reaction *out)
{
    char buffer[KIND_NAME_MAX_BYTES];
    struct scan_text kind = {buffer, 0, sizeof buffer};
    const char *name = payload;
    size_t name_bytes = scan_line(payload, bytes);

    out->kind = KIND_NONE;
    out->age_ms = 0;
    out->reader_bytes = 0;
    if (bytes > REACTION_PAYLOAD_MAX_BYTES)
        return REASON_BAD_PAYLOAD;
    if (name_bytes == 0)
        return REASON_NONE;
    if (!kind_name_valid(name, name_bytes)) {
        struct scan in = {payload, (const unsigned char *)payload + bytes};
        if (!take_object(&in, &kind, out) || !kind_name_valid(kind.bytes, kind.n))
            return REASON_BAD_PAYLOAD;
        name = kind.bytes;
        name_bytes = kind.n;
    }
    out->kind = kind_find(kinds, name, name_bytes);
    return out->kind == KIND_UNKNOWN ? REASON_UNKNOWN_KIND : REASON_NONE;
}
