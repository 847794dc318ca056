/* Decodes the path, compares it with the known ones, and checks article ids and the query. */
#include "route.h"

#include <stdbool.h>
#include <string.h>

static const char bad_encoding[] = "the path is not percent-encoded";
static const char bad_article[] = "an article id is 1 to 8 levels of [A-Za-z0-9%][A-Za-z0-9._~%-]* "
                                  "joined by /, 200 bytes at most; "
                                  "a % in it is written %25";
static const char bad_list[] =
    "/totals?articles=a,b,c: 1 to 100 article ids, separated by commas, and given once";

static const char bad_embed[] =
    "/embed?article=<article>: one article id; a % in it is written %25";

static int route_hex(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

/* Percent-decodes once into a NUL-terminated `out` of `max` + 1 bytes. False where it is too long,
 * or a % is followed by no two digits or by %00. */
static bool route_decode(const char *in, size_t bytes, char *out, size_t max)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        char byte = in[i];
        if (byte == '%') {
            int high = i + 2 < bytes ? route_hex(in[i + 1]) : -1;
            int low = high >= 0 ? route_hex(in[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (used == max)
            return false;
        out[used++] = byte;
    }
    out[used] = '\0';
    return true;
}

/* As much as there is room for of what decode does not take: a % that is not followed as it must be
 * is a %. Returns the length. */
static size_t decode_some(const char *in, size_t bytes, char *out, size_t max)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes && used < max; used++) {
        size_t n = in[i] == '%' && bytes - i >= 3 && route_decode(in + i, 3, out + used, 1) ? 3 : 1;
        if (n == 1)
            out[used] = in[i];
        i += n;
    }
    out[used] = '\0';
    return used;
}

static void refuse(struct route *route, const char *error)
{
    route->kind = ROUTE_BAD;
    route->error = error;
}

/* Writes ? over bytes that are not UTF-8 (RFC 3629). */
static void make_utf8(char *text, size_t bytes)
{
    unsigned char *at = (unsigned char *)text, *end = at + bytes;
    while (at < end) {
        size_t more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc2 ? 1 : 0;
        bool good = at[0] < 0x80 || (more > 0 && at[0] < 0xf5 && more < (size_t)(end - at));
        for (size_t i = 1; good && i <= more; i++)
            good = at[i] >> 6 == 2;
        /* Overlong, surrogates, beyond U+10FFFF: said by the second byte. */
        if (good && more > 0)
            good = !((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                     (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f));
        if (!good)
            *at = '?';
        at += good ? more + 1 : 1;
    }
}

/* One item of a list, as it came. */
static void add_item(struct route *route, const char *raw, size_t bytes)
{
    struct route_article *one = &route->article[route->n++];
    one->bad = true;
    if (route_decode(raw, bytes, one->id, ARTICLE_MAX_BYTES)) {
        one->bytes = strlen(one->id);
        one->bad = !article_valid(one->id, one->bytes);
    } else {
        one->bytes = decode_some(raw, bytes, one->id, ARTICLE_MAX_BYTES);
    }
    if (one->bad)
        make_utf8(one->id, one->bytes);
}

/* The raw value of the one parameter `name`. False if it is missing or there twice. */
static bool find_parameter(const char *query, const char *name, const char **value, size_t *bytes)
{
    size_t name_bytes = strlen(name);
    bool found = false;
    for (const char *at = query; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "&");
        if (length > name_bytes && strncmp(at, name, name_bytes) == 0 && at[name_bytes] == '=') {
            if (found)
                return false;
            found = true;
            *value = at + name_bytes + 1;
            *bytes = length - name_bytes - 1;
        }
        at += length + (at[length] == '&');
    }
    return found;
}

static bool read_parameter(const char *query, const char *name, char *out, size_t max)
{
    const char *value;
    size_t bytes;
    return find_parameter(query, name, &value, &bytes) && route_decode(value, bytes, out, max);
}

static void parse_one(struct route *route, const char *id)
{
    struct route_article *one = &route->article[0];
    size_t bytes = strlen(id);
    if (!article_valid(id, bytes)) {
        refuse(route, bad_article);
        return;
    }
    route->kind = ROUTE_TOTAL;
    route->n = 1;
    memcpy(one->id, id, bytes + 1);
    one->bytes = bytes;
    one->bad = false;
}

/* How many bytes separate two items here: a comma, or one that is percent-encoded. */
static size_t comma(const char *at, size_t left)
{
    return *at == ','                                                            ? 1
           : left >= 3 && at[0] == '%' && at[1] == '2' && route_hex(at[2]) == 12 ? 3
                                                                                 : 0;
}

static void parse_list(struct route *route, const char *query)
{
    const char *value;
    size_t bytes;
    route->kind = ROUTE_TOTALS;
    if (!find_parameter(query, "articles", &value, &bytes) || bytes == 0) {
        refuse(route, bad_list);
        return;
    }
    for (const char *item = value, *at = value, *end = value + bytes;;) {
        size_t separator = at < end ? comma(at, (size_t)(end - at)) : 0;
        if (at < end && separator == 0) {
            at++;
            continue;
        }
        if (route->n == ROUTE_MAX_ARTICLES) {
            refuse(route, bad_list);
            return;
        }
        add_item(route, item, (size_t)(at - item));
        if (at == end)
            return;
        item = at += separator;
    }
}

/* The page itself reads the query again: this refuses what the page could not show. */
static void parse_embed(struct route *route, const char *query)
{
    char id[ARTICLE_MAX_BYTES + 1];
    route->kind = ROUTE_EMBED;
    if (!read_parameter(query, "article", id, ARTICLE_MAX_BYTES) || !article_valid(id, strlen(id)))
        refuse(route, bad_embed);
}

void route_parse(struct route *route, const char *path, const char *query)
{
    char decoded[ARTICLE_MAX_BYTES + 64];
    route->kind = ROUTE_NOTHING;
    route->error = NULL;
    route->file[0] = '\0';
    route->n = 0;
    if (path == NULL || path[0] != '/')
        return;
    if (!route_decode(path, strlen(path), decoded, sizeof decoded - 1)) {
        refuse(route, strncmp(path, "/totals/", 8) == 0 ? bad_article : bad_encoding);
        return;
    }
    if (strncmp(decoded, "/totals/", 8) == 0) {
        parse_one(route, decoded + 8);
    } else if (strcmp(decoded, "/totals") == 0) {
        parse_list(route, query);
    } else if (strcmp(decoded, "/embed") == 0) {
        parse_embed(route, query);
    } else if (strcmp(decoded, "/metrics") == 0) {
        route->kind = ROUTE_METRICS;
    } else if (strcmp(decoded, "/healthz") == 0) {
        route->kind = ROUTE_HEALTH;
    } else if (strcmp(decoded, "/readyz") == 0) {
        route->kind = ROUTE_READY;
    } else if (strcmp(decoded, "/livez") == 0) {
        route->kind = ROUTE_LIVE;
    } else if (strlen(decoded + 1) <= ROUTE_FILE_MAX_BYTES) {
        const char *file = strcmp(decoded, "/") == 0            ? "index.html"
                           : strcmp(decoded, "/dashboard") == 0 ? "dashboard.html"
                           : strcmp(decoded, "/ops") == 0       ? "ops.html"
                                                                : decoded + 1;
        route->kind = ROUTE_FILE;
        memcpy(route->file, file, strlen(file) + 1);
    }
}
