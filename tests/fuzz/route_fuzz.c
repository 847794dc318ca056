/* A request's target as libevent takes it apart, and as it came (`path?query`). Articles that are
 * found are valid, and are found again when every byte of them is percent-encoded. */
#include "fuzz.h"
#include "route.h"

#include <event2/http.h>

static void encode(const struct route_article *article, char *out)
{
    for (size_t i = 0; i < article->bytes; i++)
        out += sprintf(out, "%%%02x", (unsigned)(unsigned char)article->id[i]);
}

static void check_again(const struct route *route)
{
    static char text[ROUTE_MAX_ARTICLES * (3 * ARTICLE_MAX_BYTES + 1) + 16];
    static struct route again;
    char *at = text;
    if (route->kind == ROUTE_TOTAL) {
        at += sprintf(at, "/totals/");
        encode(&route->article[0], at);
        route_parse(&again, text, NULL);
    } else {
        at += sprintf(at, "x&articles=");
        for (size_t i = 0; i < route->n; i++) {
            if (i > 0)
                *at++ = ',';
            encode(&route->article[i], at);
            at += 3 * route->article[i].bytes; /* a bad one too: what it says is bad as well */
        }
        *at = '\0'; /* an empty item writes nothing */
        route_parse(&again, "/totals", text);
    }
    FUZZ_CHECK(again.kind == route->kind && again.n == route->n);
    for (size_t i = 0; i < again.n; i++)
        FUZZ_CHECK(again.article[i].bad || strcmp(again.article[i].id, route->article[i].id) == 0);
}

static void check(const char *path, const char *query)
{
    static struct route route;
    route_parse(&route, path, query);
    FUZZ_CHECK((route.kind == ROUTE_BAD) == (route.error != NULL));
    FUZZ_CHECK(route.n <= ROUTE_MAX_ARTICLES && memchr(route.file, 0, sizeof route.file) != NULL);
    FUZZ_CHECK((route.kind == ROUTE_FILE) == (route.file[0] != '\0'));
    if (route.kind == ROUTE_TOTAL)
        FUZZ_CHECK(route.n == 1);
    if (route.kind == ROUTE_TOTALS)
        FUZZ_CHECK(route.n >= 1);
    for (size_t i = 0; i < route.n; i++)
        FUZZ_CHECK(
            (route.article[i].bad || article_valid(route.article[i].id, route.article[i].bytes)) &&
            strlen(route.article[i].id) == route.article[i].bytes);
    if (route.kind == ROUTE_TOTAL || route.kind == ROUTE_TOTALS)
        check_again(&route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    char *target = fuzz_line(&in);
    if (target == NULL)
        return 0;
    struct evhttp_uri *uri = evhttp_uri_parse_with_flags(target, EVHTTP_URI_NONCONFORMANT);
    if (uri != NULL) {
        check(evhttp_uri_get_path(uri), evhttp_uri_get_query(uri));
        evhttp_uri_free(uri);
    }
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    check(target, query);
    free(target);
    return 0;
}
