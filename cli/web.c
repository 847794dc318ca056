#include "web.h"

#include "core/article.h"
#include "core/error.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S 10
#define HEAD_MAX_BYTES 8192
#define HOST_MAX_BYTES 255
#define PATH_BYTES (3 * ARTICLE_MAX_BYTES + 16)

struct web {
    char host[HOST_MAX_BYTES + 1], port[12];
    int fd; /* -1: not connected */
    size_t have;
    char in[HEAD_MAX_BYTES + WEB_BODY_MAX_BYTES + 1];
};

struct web *web_new(const char *host, int port)
{
    struct web *web = calloc(1, sizeof *web);
    if (web == NULL)
        return NULL;
    snprintf(web->host, sizeof web->host, "%s", host);
    snprintf(web->port, sizeof web->port, "%d", port);
    web->fd = -1;
    return web;
}

static void drop(struct web *web)
{
    if (web->fd >= 0)
        close(web->fd);
    web->fd = -1;
    web->have = 0;
}

void web_free(struct web *web)
{
    if (web == NULL)
        return;
    drop(web);
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

static int connect_to(struct web *web, char *error, size_t error_bytes)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval limit = {.tv_sec = ANSWER_S};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(web->host, web->port, &hints, &found);
    if (rc != 0)
        return error_say(error, error_bytes, "http %s: %s", web->host, gai_strerror(rc));
    int why = ENOENT;
    for (const struct addrinfo *one = found; one != NULL && web->fd < 0; one = one->ai_next) {
        int fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
            connect(fd, one->ai_addr, one->ai_addrlen) == 0) {
            web->fd = fd;
            break;
        }
        why = errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    if (web->fd < 0)
        return error_say(error, error_bytes, "http %s:%s: %s", web->host, web->port, strerror(why));
    return 0;
}

static bool send_all(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool receive_some(struct web *web)
{
    ssize_t n;
    if (web->have == sizeof web->in - 1)
        return false;
    do
        n = recv(web->fd, web->in + web->have, sizeof web->in - 1 - web->have, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    web->have += (size_t)n;
    web->in[web->have] = '\0';
    return true;
}

/* Reads one answer. Returns its status, with the body's place and length; 0 where it broke off. */
static int receive(struct web *web, const char **body, size_t *body_bytes)
{
    char *end;
    web->have = 0;
    web->in[0] = '\0';
    while ((end = strstr(web->in, "\r\n\r\n")) == NULL)
        if (!receive_some(web))
            return 0;
    const char *length = strcasestr(web->in, "\r\nContent-Length:");
    if (strncmp(web->in, "HTTP/1.", 7) != 0 || length == NULL || length > end)
        return 0;
    *body_bytes = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    size_t head_bytes = (size_t)(end + 4 - web->in);
    if (*body_bytes > WEB_BODY_MAX_BYTES)
        return 0;
    while (web->have < head_bytes + *body_bytes)
        if (!receive_some(web))
            return 0;
    *body = web->in + head_bytes;
    return atoi(web->in + strlen("HTTP/1.1 "));
}

int web_total(struct web *web, const char *article, int *status, char body[WEB_BODY_MAX_BYTES + 1],
              char *error, size_t error_bytes)
{
    char path[PATH_BYTES], request[PATH_BYTES + HOST_MAX_BYTES + 64];
    const char *found = NULL;
    size_t bytes = 0;
    web_path(path, sizeof path, article);
    int request_bytes =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, web->host);
    /* A connection that was idle may have been closed meanwhile. */
    for (int attempt = 0; attempt < 2; attempt++) {
        if (web->fd < 0 && connect_to(web, error, error_bytes) != 0)
            return -1;
        *status =
            send_all(web->fd, request, (size_t)request_bytes) ? receive(web, &found, &bytes) : 0;
        if (*status != 0) {
            memcpy(body, found, bytes);
            body[bytes] = '\0';
            return (int)bytes;
        }
        drop(web);
    }
    return error_say(error, error_bytes, "http: no answer to %s", path);
}
