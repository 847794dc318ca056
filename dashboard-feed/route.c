#include "route.h"

#include <stdbool.h>
#include <string.h>

#define LIST_MAX_BYTES (ROUTE_MAX_ARTICLES * (ARTICLE_MAX_BYTES + 1))

static const char bad_encoding[] = "the path is not percent-encoded";
static const char bad_article[] = "an article id is 1 to 8 levels of [A-Za-z0-9%][A-Za-z0-9._~%-]* "
                                  "joined by /, 200 bytes at most; "
                                  "a % in it is written %25";
static const char bad_list[] =
    "/totals?articles=a,b,c: 1 to 100 article ids, separated by commas, and given once";

static const char bad_embed[] =
    "/embed?article=<article>: one article id; a % in it is written %25";

static int hex(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

/* Percent-decodes once into a NUL-terminated `out` of `max` + 1 bytes. False where it is too long,
 * or a % is followed by no two digits or by %00. */
static bool decode(const char *in, size_t bytes, char *out, size_t max)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        char byte = in[i];
        if (byte == '%') {
            int high = i + 2 < bytes ? hex(in[i + 1]) : -1;
            int low = high >= 0 ? hex(in[i + 2]) : -1;
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

static void refuse(struct route *route, const char *error)
{
    route->kind = ROUTE_BAD;
    route->error = error;
}

static bool add_article(struct route *route, const char *id, size_t bytes)
{
    if (!article_valid(id, bytes)) {
        refuse(route, bad_article);
        return false;
    }
    if (route->n == ROUTE_MAX_ARTICLES) {
        refuse(route, bad_list);
        return false;
    }
    struct route_article *one = &route->article[route->n++];
    memcpy(one->id, id, bytes);
    one->id[bytes] = '\0';
    one->bytes = bytes;
    return true;
}

/* The raw value of the one parameter `name`. False where it is missing or there twice. */
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
    return find_parameter(query, name, &value, &bytes) && decode(value, bytes, out, max);
}

static void parse_list(struct route *route, const char *query)
{
    char list[LIST_MAX_BYTES + 1];
    route->kind = ROUTE_TOTALS;
    if (!read_parameter(query, "articles", list, LIST_MAX_BYTES) || list[0] == '\0') {
        refuse(route, bad_list);
        return;
    }
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (!add_article(route, at, length))
            return;
        at += length;
        if (*at == '\0')
            return;
    }
}

/* The page itself reads the query again: this says no to what it could not show. */
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
    if (!decode(path, strlen(path), decoded, sizeof decoded - 1)) {
        refuse(route, strncmp(path, "/totals/", 8) == 0 ? bad_article : bad_encoding);
        return;
    }
    if (strncmp(decoded, "/totals/", 8) == 0) {
        if (add_article(route, decoded + 8, strlen(decoded + 8)))
            route->kind = ROUTE_TOTAL;
    } else if (strcmp(decoded, "/totals") == 0) {
        parse_list(route, query);
    } else if (strcmp(decoded, "/embed") == 0) {
        parse_embed(route, query);
    } else if (strcmp(decoded, "/metrics") == 0) {
        route->kind = ROUTE_METRICS;
    } else if (strcmp(decoded, "/healthz") == 0) {
        route->kind = ROUTE_HEALTH;
    } else if (strlen(decoded + 1) <= ROUTE_FILE_MAX_BYTES) {
        const char *file = strcmp(decoded, "/") == 0            ? "index.html"
                           : strcmp(decoded, "/dashboard") == 0 ? "dashboard.html"
                                                                : decoded + 1;
        route->kind = ROUTE_FILE;
        memcpy(route->file, file, strlen(file) + 1);
    }
}
