/* Uses libcurl: one handle, which keeps its connection open and reopens it if it ended. */
#include "web.h"

#include "core/article.h"
#include "core/error.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_S 10
#define HEAD_MAX_BYTES 8192
#define HOST_MAX_BYTES 255
#define PATH_BYTES (3 * ARTICLE_MAX_BYTES + 16)
#define URL_BYTES (3 * HOST_MAX_BYTES + 32) /* each % of the host is three characters */

/* A buffer that a callback fills, up to its bound. */
struct taken {
    char *out; /* NULL: only counted */
    size_t bytes, max_bytes;
    bool too_long;
};

struct web {
    CURL *curl;
    char where[HOST_MAX_BYTES + 16]; /* host:port, for errors */
    char why[CURL_ERROR_SIZE];
    struct taken head, body;
};

/* The feed's address. A name with a colon is an IPv6 address, with or without a zone. */
static void write_url(char out[URL_BYTES], const char *host, int port)
{
    const bool is_ipv6 = strchr(host, ':') != NULL;
    size_t used = (size_t)snprintf(out, URL_BYTES, "http://%s", is_ipv6 ? "[" : "");

    for (size_t i = 0; host[i] != '\0' && i < HOST_MAX_BYTES; i++)
        used +=
            (size_t)snprintf(out + used, URL_BYTES - used, host[i] == '%' ? "%%25" : "%c", host[i]);
    (void)snprintf(out + used, URL_BYTES - used, "%s:%d/", is_ipv6 ? "]" : "", port);
}

static size_t web_take(char *bytes, size_t size, size_t n, void *argument)
{
    struct taken *taken = argument;

    if (size * n > taken->max_bytes - taken->bytes) {
        taken->too_long = true;
        return 0;
    }
    if (taken->out != NULL)
        memcpy(taken->out + taken->bytes, bytes, size * n);
    taken->bytes += size * n;
    return size * n;
}

/* Neither the environment nor an answer can redirect requests: no proxy, no redirect, HTTP only. */
static bool set_up(struct web *web, const char *url)
{
    CURL *curl = web->curl;

    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_S) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, web->why) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, web_take) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, &web->head) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, web_take) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, &web->body) == CURLE_OK;
}

struct web *web_new(const char *host, int port)
{
    char url[URL_BYTES];
    struct web *web = calloc(1, sizeof *web);

    if (web == NULL)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK) {
        free(web);
        return NULL;
    }
    write_url(url, host, port);
    (void)snprintf(web->where, sizeof web->where, "%.*s:%d", HOST_MAX_BYTES, host, port);
    web->curl = curl_easy_init();
    if (web->curl != NULL && set_up(web, url))
        return web;
    web_free(web);
    return NULL;
}

void web_free(struct web *web)
{
    if (web == NULL)
        return;
    curl_easy_cleanup(web->curl);
    curl_global_cleanup();
    free(web);
}

size_t web_path(char *out, size_t out_bytes, const char *article)
{
    size_t used = (size_t)snprintf(out, out_bytes, "/totals/");
    for (; *article != '\0' && used + 4 < out_bytes; article++) {
        if (*article == '%')
            used += (size_t)snprintf(out + used, out_bytes - used, "%%25");
        else
            out[used++] = *article;
    }
    out[used] = '\0';
    return used;
}

int web_total(struct web *web, const char *article, int *status, char body[WEB_BODY_MAX_BYTES + 1],
              struct error *error)
{
    char path[PATH_BYTES];

    (void)web_path(path, sizeof path, article);
    return web_get(web, path, status, body, error);
}

int web_get(struct web *web, const char *path, int *status, char body[WEB_BODY_MAX_BYTES + 1],
            struct error *error)
{
    long code = 0;

    web->why[0] = '\0';
    web->head = (struct taken){.max_bytes = HEAD_MAX_BYTES};
    web->body = (struct taken){.out = body, .max_bytes = WEB_BODY_MAX_BYTES};
    /* Keep the path unchanged: libcurl would otherwise turn a/../b into b. */
    CURLcode rc = curl_easy_setopt(web->curl, CURLOPT_REQUEST_TARGET, path);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(web->curl);
    if (rc == CURLE_OK)
        rc = curl_easy_getinfo(web->curl, CURLINFO_RESPONSE_CODE, &code);
    if (web->head.too_long || web->body.too_long)
        return error_set(error, "http %s: the %s of the answer to %s is over %d bytes", web->where,
                         web->head.too_long ? "head" : "body", path,
                         web->head.too_long ? HEAD_MAX_BYTES : WEB_BODY_MAX_BYTES);
    if (rc != CURLE_OK)
        return error_set(error, "http %s: no answer to %s: %s", web->where, path,
                         web->why[0] != '\0' ? web->why : curl_easy_strerror(rc));
    *status = (int)code;
    body[web->body.bytes] = '\0';
    return (int)web->body.bytes;
}
