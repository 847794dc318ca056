/* Requests for totals: looks them up in Redis, a bounded number at a time, and answers. A part of
 * http. Loop thread only. */
#ifndef TALLY_FEED_HTTP_TOTALS_H
#define TALLY_FEED_HTTP_TOTALS_H

#include "http_answers.h"
#include "http_connections.h"
#include "lookup.h"
#include "route.h"
#include "store_link.h"
#include "visitors.h"

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_totals {
    struct store_link *link;
    struct http_answers *answers;
    struct http_connections *connections;
    unsigned lookups; /* under way */
    uint64_t refused; /* requests, as too many waited for Redis */
};

/* A request that waits for its turn, or whose articles are looked up. */
struct http_totals_question {
    struct visitors_request turn;
    struct evhttp_request *request;
    struct http_totals *totals; /* whose lookup it waits for */
    struct lookup *lookup;      /* … under way */
    struct event *patience;     /* with what of it has not answered; NULL none */
    bool answered;              /* before all of it has: the request is gone */
    bool list;
    size_t n; /* 0: it asks for no totals */
    struct route_article article[];
};

/* A question that `route` asks, about totals or not; free() frees it. NULL on no memory. */
struct http_totals_question *http_totals_question_new(struct evhttp_request *request,
                                                      const struct route *route);

/* Answers a question about totals, now or later, and frees it. */
void http_totals_ask(struct http_totals *totals, struct http_totals_question *question);

#endif
