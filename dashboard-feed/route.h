/* What an HTTP request asks for: its path and query, decoded and checked. Pure; any thread.
 *
 * The path is percent-decoded once, as a whole; so is the value of `articles`, before it is split
 * at commas. An article id that contains a % is therefore written with %25. A + is a +. In a list
 * an invalid article id is bad alone and does not affect the others. */
#ifndef TALLY_FEED_ROUTE_H
#define TALLY_FEED_ROUTE_H

#include "core/article.h"

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_MAX_ARTICLES 100
#define ROUTE_FILE_MAX_BYTES 64

enum route_kind {
    ROUTE_NOTHING, /* 404 */
    ROUTE_BAD,     /* 400: `error` says what is accepted */
    ROUTE_FILE,    /* `file`: its name in web/, if there is such a one */
    ROUTE_EMBED,   /* the page for an iframe */
    ROUTE_TOTAL,   /* one article */
    ROUTE_TOTALS,  /* n articles */
    ROUTE_METRICS,
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_LIVE,
};

struct route_article {
    size_t bytes;
    bool bad; /* no article id: `id` is the requested text, for people to read: its first
               * bytes, undecoded if it cannot be decoded, with ? for bytes that are not UTF-8 */
    char id[ARTICLE_MAX_BYTES + 1];
};

struct route {
    enum route_kind kind;
    const char *error; /* static */
    char file[ROUTE_FILE_MAX_BYTES + 1];
    size_t n;
    struct route_article article[ROUTE_MAX_ARTICLES];
};

/* `query` may be NULL. */
void route_parse(struct route *route, const char *path, const char *query);

#endif
