/* Sends HTTP answers and counts them: headers that every answer has, errors as JSON, tags. A part
 * of http. Loop thread only. */
#ifndef TALLY_FEED_HTTP_ANSWERS_H
#define TALLY_FEED_HTTP_ANSWERS_H

#include "http.h"

#include <event2/http.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_ANSWERS_JSON "application/json"

struct http_connections;

struct http_answers {
    struct http_connections *connections; /* told of each answer that is sent */
    struct http_code_count by_code[HTTP_CODES];
    uint64_t body_bytes;
};

void http_answers_init(struct http_answers *answers, struct http_connections *connections);

/* Counts an answer. http_answers_send does so itself. */
void http_answers_count(struct http_answers *answers, int code);

/* Adds a header to the answer. */
void http_answers_header(struct evhttp_request *request, const char *name, const char *value);

/* Lets scripts of other sites' pages read the answer. */
void http_answers_any_origin(struct evhttp_request *request);

/* Sends an answer. `type` NULL: without a body. A HEAD request gets the headers alone. */
void http_answers_send(struct http_answers *answers, struct evhttp_request *request, int code,
                       const char *reason, const char *type, const void *body, size_t bytes);

/* Sends a body that has a tag; 304 where the client has it already. `cache`: Cache-Control. */
void http_answers_tagged(struct http_answers *answers, struct evhttp_request *request,
                         const char *etag, const char *cache, const char *type, const void *body,
                         size_t bytes);

/* Sends {"error":"..."}. */
void http_answers_error(struct http_answers *answers, struct evhttp_request *request, int code,
                        const char *reason, const char *error);

/* The same with 503, and that the client should try again in a second. */
void http_answers_away(struct http_answers *answers, struct evhttp_request *request,
                       const char *error);

#endif
