/* An answer's headers and body, and how many there were of each status code. Every answer
 * goes out through here, except evhttp's own errors (error_page.h). */
#include "http_answers.h"

#include "http_connections.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void http_answers_init(struct http_answers *answers, struct http_connections *connections)
{
    static const int codes[HTTP_CODES] = {200, 204, 304, 400, 404, 405, 413, 417, 500, 501, 503};
    *answers = (struct http_answers){.connections = connections};
    for (int i = 0; i < HTTP_CODES; i++)
        answers->by_code[i].code = codes[i];
}

void http_answers_count(struct http_answers *answers, int code)
{
    for (int i = 0; i < HTTP_CODES; i++)
        if (answers->by_code[i].code == code)
            answers->by_code[i].n++;
}

void http_answers_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

void http_answers_any_origin(struct evhttp_request *request)
{
    if (evhttp_find_header(evhttp_request_get_output_headers(request),
                           "Access-Control-Allow-Origin") != NULL)
        return;
    http_answers_header(request, "Access-Control-Allow-Origin", "*");
    http_answers_header(request, "Access-Control-Expose-Headers", "ETag");
    http_answers_header(request, "Cross-Origin-Resource-Policy", "cross-origin");
}

static void on_complete(struct evhttp_request *request, void *user)
{
    http_connections_touch(user, request, false);
}

void http_answers_send(struct http_answers *answers, struct evhttp_request *request, int code,
                       const char *reason, const char *type, const void *body, size_t bytes)
{
    char length[24];
    struct evbuffer *out = NULL;
    http_answers_header(request, "X-Content-Type-Options", "nosniff");
    if (type != NULL) {
        http_answers_header(request, "Content-Type", type);
        snprintf(length, sizeof length, "%zu", bytes);
        http_answers_header(request, "Content-Length", length);
        if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) {
            out = evbuffer_new();
            if (out != NULL)
                evbuffer_add(out, body, bytes);
            answers->body_bytes += bytes;
        }
    }
    http_answers_count(answers, code);
    evhttp_request_set_on_complete_cb(request, on_complete, answers->connections);
    evhttp_send_reply(request, code, reason, out);
    if (out != NULL)
        evbuffer_free(out);
}

void http_answers_error(struct http_answers *answers, struct evhttp_request *request, int code,
                        const char *reason, const char *error)
{
    char text[512] = "{}";
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "error", error);
    cJSON_PrintPreallocated(object, text, sizeof text, false);
    cJSON_Delete(object);
    http_answers_header(request, "Cache-Control", "no-store");
    http_answers_any_origin(request); /* a page's script cannot read why, else */
    http_answers_send(answers, request, code, reason, HTTP_ANSWERS_JSON, text, strlen(text));
}

/* Whether If-None-Match names the tag (RFC 9110, 13.1.2: weak comparison). */
static bool is_known_to_client(struct evhttp_request *request, const char *etag)
{
    const char *at = evhttp_find_header(evhttp_request_get_input_headers(request), "If-None-Match");
    size_t bytes = strlen(etag);
    while (at != NULL && *at != '\0') {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (*at != '"')
            return false;
        if (strncmp(at, etag, bytes) == 0)
            return true;
        at = strchr(at + 1, '"');
        at = at == NULL ? NULL : at + 1;
    }
    return false;
}

void http_answers_tagged(struct http_answers *answers, struct evhttp_request *request,
                         const char *etag, const char *cache, const char *type, const void *body,
                         size_t bytes)
{
    http_answers_header(request, "ETag", etag);
    http_answers_header(request, "Cache-Control", cache);
    if (is_known_to_client(request, etag))
        http_answers_send(answers, request, 304, "Not Modified", NULL, NULL, 0);
    else
        http_answers_send(answers, request, 200, "OK", type, body, bytes);
}

void http_answers_away(struct http_answers *answers, struct evhttp_request *request,
                       const char *error)
{
    http_answers_header(request, "Retry-After", "1");
    http_answers_error(answers, request, 503, "Service Unavailable", error);
}
