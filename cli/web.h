/* GET over one HTTP connection, kept open and reopened if it ended; the timeout for an answer is 10
 * s. One thread. */
#ifndef TALLY_CLI_WEB_H
#define TALLY_CLI_WEB_H

#include <stddef.h>

#define WEB_BODY_MAX_BYTES 65536

struct web;

/* Strings are copied. NULL on no memory; connects at the first request. */
struct web *web_new(const char *host, int port);
void web_free(struct web *web);

/* Asks for /totals/<article>. Returns the body's length, with the body in `body` followed by a NUL,
 * and *status; -1 with a sentence in `error`: no answer, a body longer than WEB_BODY_MAX_BYTES, or
 * a head longer than 8,192 bytes. */
int web_total(struct web *web, const char *article, int *status, char body[WEB_BODY_MAX_BYTES + 1],
              char *error, size_t error_bytes);

/* The same for any path, with each % in it written as %25 already. */
int web_get(struct web *web, const char *path, int *status, char body[WEB_BODY_MAX_BYTES + 1],
            char *error, size_t error_bytes);

/* The path /totals/<article>, its % as %25. Returns its length. Pure. */
size_t web_path(char *out, size_t out_bytes, const char *article);

#endif
