/* Files as they are served. All are made at the start: none changes while the feed runs, so a tag
 * is a hash of the contents, and packing costs nothing later. */
#include "http_files.h"

#include "assets.h"
#include "core/fnv.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BROKER_TOKEN "@TALLY_BROKER@"
#define ETAG_MAX_BYTES 64
#define GZIP_WINDOW (15 + 16) /* zlib's word for the largest window, in gzip's format */

struct file {
    const char *name;
    const char *type;
    char *body, *packed; /* packed: as gzip, or NULL */
    size_t bytes, packed_bytes;
    char etag[ETAG_MAX_BYTES], packed_etag[ETAG_MAX_BYTES];
};

struct http_files {
    struct file *file;
    char broker[400];  /* replaces BROKER_TOKEN: a URL or port, and the topic prefix after a # */
    char connect[300]; /* of the CSP, where the broker's URL is known */
    uint16_t websocket_port;
};

/* ---- answering ---- */

static const char *content_type(const char *name)
{
    static const struct {
        const char *extension, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".json", "application/json"},
                 {".webmanifest", "application/manifest+json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".ico", "image/x-icon"},
                 {".woff2", "font/woff2"}};
    const char *extension = strrchr(name, '.');
    for (size_t i = 0; extension != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(extension, types[i].extension) == 0)
            return types[i].type;
    return "text/plain; charset=utf-8";
}

static bool is_host(const char *host)
{
    size_t bytes = strlen(host);
    return bytes > 0 && bytes <= 253 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
               bytes;
}

/* The page may connect to this server and to its broker. A CSP cannot name an IPv6 address, so
 * there any broker is allowed. */
static void add_page_headers(const struct http_files *files, struct evhttp_request *request,
                             bool framed)
{
    char policy[1024], broker[600];
    const char *host = evhttp_request_get_host(request);
    const char *connect = broker;
    if (files->connect[0] != '\0')
        connect = files->connect;
    else if (host != NULL && is_host(host))
        snprintf(broker, sizeof broker, "ws://%s:%u wss://%s:%u", host, files->websocket_port, host,
                 files->websocket_port);
    else
        connect = "ws: wss:";
    snprintf(policy, sizeof policy,
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
             "connect-src 'self' %s; base-uri 'none'; form-action 'none'; "
             "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors %s",
             connect, framed ? "*" : "'none'");
    http_answers_header(request, "Content-Security-Policy", policy);
    http_answers_header(request, "Referrer-Policy", "no-referrer");
    if (!framed) {
        http_answers_header(request, "X-Frame-Options", "DENY");
        return;
    }
    /* So that a page that requires cross-origin opt-in (COEP) may frame this one. */
    http_answers_header(request, "Cross-Origin-Embedder-Policy", "require-corp");
    http_answers_header(request, "Cross-Origin-Resource-Policy", "cross-origin");
}

static const struct file *find_file(const struct http_files *files, const char *name)
{
    for (size_t i = 0; i < assets_n; i++)
        if (strcmp(files->file[i].name, name) == 0)
            return &files->file[i];
    return NULL;
}

/* Whether the client says that it takes gzip (RFC 9110, 12.5.3), of weight 0 not. */
static bool takes_gzip(struct evhttp_request *request)
{
    const char *list =
        evhttp_find_header(evhttp_request_get_input_headers(request), "Accept-Encoding");
    const char *at = list != NULL ? strcasestr(list, "gzip") : NULL;
    if (at == NULL || (at > list && isalnum((unsigned char)at[-1])) ||
        isalnum((unsigned char)at[strlen("gzip")]))
        return false;
    at += strcspn(at, ",;");
    const char *weight = *at == ';' ? strchr(at, '=') : NULL;
    return weight == NULL || strtod(weight + 1, NULL) > 0;
}

bool http_files_answer(const struct http_files *files, struct http_answers *answers,
                       struct evhttp_request *request, const char *name, bool framed)
{
    const struct file *file = find_file(files, name);
    const char *cache = "public, max-age=60, stale-while-revalidate=86400";
    if (file == NULL)
        return false;
    if (strncmp(file->type, "text/html", 9) == 0) {
        add_page_headers(files, request, framed);
        cache = "public, max-age=60";
    }
    http_answers_header(request, "Vary", "Accept-Encoding");
    if (file->packed != NULL && takes_gzip(request)) {
        http_answers_header(request, "Content-Encoding", "gzip");
        http_answers_tagged(answers, request, file->packed_etag, cache, file->type, file->packed,
                            file->packed_bytes);
        return true;
    }
    http_answers_tagged(answers, request, file->etag, cache, file->type, file->body, file->bytes);
    return true;
}

/* ---- making ---- */

/* Compresses the body as far as possible; if that fails or gains nothing, it is sent uncompressed.
 */
static void pack_file(struct file *file)
{
    z_stream stream = {.next_in = (Bytef *)file->body, .avail_in = (uInt)file->bytes};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return;
    file->packed = malloc(file->bytes);
    stream.next_out = (Bytef *)file->packed;
    stream.avail_out = file->packed != NULL ? (uInt)file->bytes : 0;
    if (file->packed == NULL || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        free(file->packed);
        file->packed = NULL;
    }
    file->packed_bytes = stream.total_out;
    deflateEnd(&stream);
}

/* Copies the file with every BROKER_TOKEN replaced. Returns 0, or -1 on no memory. */
static int make_file(struct file *file, const struct asset *asset, const char *broker)
{
    const char *in = (const char *)asset->data; /* a NUL follows */
    const char *end = in + *asset->bytes;
    size_t token_bytes = strlen(BROKER_TOKEN), broker_bytes = strlen(broker);
    bool text = strstr(asset->name, ".html") != NULL || strstr(asset->name, ".js") != NULL;
    size_t tokens = 0;
    for (const char *at = in; text && (at = strstr(at, BROKER_TOKEN)) != NULL; at += token_bytes)
        tokens++;
    file->body = malloc(*asset->bytes + tokens * broker_bytes + 1);
    if (file->body == NULL)
        return -1;
    file->bytes = 0;
    while (in < end) {
        const char *token = tokens > 0 ? strstr(in, BROKER_TOKEN) : NULL;
        size_t plain = (size_t)((token != NULL ? token : end) - in);
        memcpy(file->body + file->bytes, in, plain);
        file->bytes += plain;
        in += plain;
        if (token != NULL) {
            memcpy(file->body + file->bytes, broker, broker_bytes);
            file->bytes += broker_bytes;
            in += token_bytes;
        }
    }
    file->name = asset->name;
    file->type = content_type(asset->name);
    uint64_t tag = fnv_add(FNV_START, file->body, file->bytes);
    snprintf(file->etag, sizeof file->etag, "\"%016" PRIx64 "\"", tag);
    snprintf(file->packed_etag, sizeof file->packed_etag, "\"%016" PRIx64 "-gzip\"", tag);
    pack_file(file);
    return 0;
}

static int make_files(struct http_files *files)
{
    files->file = calloc(assets_n + 1, sizeof *files->file);
    if (files->file == NULL)
        return -1;
    for (size_t i = 0; i < assets_n; i++)
        if (make_file(&files->file[i], &assets[i], files->broker) != 0)
            return -1;
    return 0;
}

static void set_broker(struct http_files *files, const struct http_config *config)
{
    const char *url = config->websocket_url, *prefix = config->topic_prefix;
    const char *mark = prefix[0] != '\0' ? "#" : "";
    if (url[0] == '\0') {
        snprintf(files->broker, sizeof files->broker, ":%u%s%s", config->websocket_port, mark,
                 prefix);
        return;
    }
    snprintf(files->broker, sizeof files->broker, "%s%s%s", url, mark, prefix);
    const char *host = strstr(url, "//") + 2; /* settings let no other URL through */
    snprintf(files->connect, sizeof files->connect, "%.*s",
             (int)((size_t)(host - url) + strcspn(host, "/?")), url);
}

struct http_files *http_files_new(const struct http_config *config)
{
    struct http_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return NULL;
    files->websocket_port = config->websocket_port;
    set_broker(files, config);
    if (make_files(files) != 0) {
        http_files_free(files);
        return NULL;
    }
    return files;
}

void http_files_free(struct http_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; files->file != NULL && i < assets_n; i++) {
        free(files->file[i].body);
        free(files->file[i].packed);
    }
    free(files->file);
    free(files);
}
