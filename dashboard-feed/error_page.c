/* Replaces evhttp's own HTML in the output of a connection by JSON, with the same status code. */
#include "error_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_BYTES 13 /* "HTTP/1.1 400 " */

static const struct {
    int status;
    const char *reason, *error;
} answers[] = {
    {400, "Bad Request",
     "this request cannot be read: accepted are a request line, headers of the form name: value, "
     "and an empty line; "},
    {413, "Content Too Large", "this request is "},
    {417, "Expectation Failed", "this expectation cannot be met: accepted is 100-continue; "},
    {501, "Not Implemented", "this method is unknown: accepted are GET, HEAD, OPTIONS; "},
};

/* The status of the answer that begins here, and where its body does; 0: not all of that is there.
 */
static int status_of(struct evbuffer *output, size_t from, size_t *body)
{
    char line[STATUS_BYTES + 1] = "";
    struct evbuffer_ptr begin, end;
    if (evbuffer_ptr_set(output, &begin, from, EVBUFFER_PTR_SET) != 0 ||
        evbuffer_copyout_from(output, &begin, line, STATUS_BYTES) != STATUS_BYTES ||
        strncmp(line, "HTTP/1.", 7) != 0)
        return 0;
    end = evbuffer_search(output, "\r\n\r\n", 4, &begin);
    if (end.pos < 0)
        return 0;
    *body = (size_t)end.pos + 4;
    return atoi(line + 9);
}

int error_page_replace(struct evbuffer *output, const char *sizes)
{
    size_t from = 0, body = 0;
    int status = status_of(output, 0, &body);
    while (status == 100) { /* not sent yet */
        from = body;
        status = status_of(output, from, &body);
    }
    /* The body is added last, and in one piece. */
    if (status < 400 || evbuffer_get_length(output) == body)
        return 0;
    size_t kind = 0; /* 400, as of what else it may say one day */
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (answers[i].status == status)
            kind = i;
    struct evbuffer *said = evbuffer_new();
    if (said == NULL || evbuffer_remove_buffer(output, said, from) != (int)from) {
        if (said != NULL)
            evbuffer_free(said);
        return 0;
    }
    evbuffer_drain(output, evbuffer_get_length(output));
    evbuffer_add_printf(said,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: application/json\r\n"
                        "Content-Length: %zu\r\n"
                        "Cache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\n"
                        "Access-Control-Allow-Origin: *\r\n"
                        "Cross-Origin-Resource-Policy: cross-origin\r\n"
                        "Connection: close\r\n\r\n"
                        "{\"error\":\"%s%s\"}",
                        answers[kind].status, answers[kind].reason,
                        strlen(answers[kind].error) + strlen(sizes) + strlen("{\"error\":\"\"}"),
                        answers[kind].error, sizes);
    evbuffer_add_buffer(output, said);
    evbuffer_free(said);
    return answers[kind].status;
}
