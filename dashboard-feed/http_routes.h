/* Answers requests that look nothing up: files, health, metrics, OPTIONS, and what is wrong. A part
 * of http. Loop thread only. */
#ifndef TALLY_FEED_HTTP_ROUTES_H
#define TALLY_FEED_HTTP_ROUTES_H

#include "http_answers.h"
#include "http_files.h"
#include "route.h"

#include <event2/http.h>

/* The sources of the answers; the caller's. */
struct http_routes {
    const struct http_config *config;
    struct http_files *files;
    struct http_answers *answers;
};

/* What the request asks for. */
void http_routes_read(struct evhttp_request *request, struct route *route);

void http_routes_answer(const struct http_routes *routes, struct evhttp_request *request,
                        const struct route *route);

#endif
