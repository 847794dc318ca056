/* Keeps a bounded number of calls to Redis in flight, and matches answers to them in order. */
#include "pipeline.h"

#include "core/error.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SHA_DIGITS 40
#define HEAD_BYTES 96
#define SCRIPT_MAX_BYTES 16384
#define FIRST_BYTES (1u << 20)
#define BULK_BYTES 32 /* around the bytes of a string: $, its length, two line ends */

#define TOTALS "tally:"
#define READERS "readers:"

struct pipeline {
    redisContext *redis;
    char head[HEAD_BYTES]; /* what all calls begin with */
    size_t head_bytes;
    char *out;
    size_t begin, end, room; /* out[begin] to out[end] is not sent yet */
};

static int read_script(const char *file, char *script, size_t *bytes, struct error *error)
{
    FILE *in = fopen(file, "r");
    if (in == NULL)
        return error_set(error, "option script: %s: %s", file, strerror(errno));
    *bytes = fread(script, 1, SCRIPT_MAX_BYTES, in);
    bool whole = ferror(in) == 0 && *bytes > 0 && *bytes < SCRIPT_MAX_BYTES;
    fclose(in);
    return whole ? 0 : error_set(error, "option script: %s: cannot be read", file);
}

static int load_script(struct pipeline *pipeline, const char *file, struct error *error)
{
    char script[SCRIPT_MAX_BYTES];
    size_t bytes;
    if (read_script(file, script, &bytes, error) != 0)
        return -1;
    redisReply *reply = redisCommand(pipeline->redis, "SCRIPT LOAD %b", script, bytes);
    bool loaded = reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == SHA_DIGITS;
    if (loaded)
        pipeline->head_bytes =
            (size_t)snprintf(pipeline->head, sizeof pipeline->head,
                             "*7\r\n$7\r\nEVALSHA\r\n$40\r\n%.40s\r\n$1\r\n2\r\n", reply->str);
    else
        error_set(error, "Redis did not load %s: %s", file,
                  reply != NULL && reply->str != NULL ? reply->str : pipeline->redis->errstr);
    if (reply != NULL)
        freeReplyObject(reply);
    return loaded ? 0 : -1;
}

struct pipeline *pipeline_open(const char *host, int port, const char *script_file,
                               struct error *error)
{
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL || (pipeline->out = malloc(FIRST_BYTES)) == NULL) {
        error_set(error, "no memory");
        pipeline_free(pipeline);
        return NULL;
    }
    pipeline->room = FIRST_BYTES;
    pipeline->redis = redisConnect(host, port);
    bool connected = pipeline->redis != NULL && pipeline->redis->err == 0;
    if (!connected)
        error_set(error, "Redis at %s port %d: %s", host, port,
                  pipeline->redis != NULL ? pipeline->redis->errstr : "no memory");
    if (!connected || load_script(pipeline, script_file, error) != 0) {
        pipeline_free(pipeline);
        return NULL;
    }
    return pipeline;
}

void pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    if (pipeline->redis != NULL)
        redisFree(pipeline->redis);
    free(pipeline->out);
    free(pipeline);
}

int pipeline_socket(const struct pipeline *pipeline)
{
    return pipeline->redis->fd;
}

bool pipeline_waiting(const struct pipeline *pipeline)
{
    return pipeline->end > pipeline->begin;
}

/* Moves what waits to the front only where that frees half of the buffer, so that a byte is moved
 * seldom however much waits. */
static int reserve(struct pipeline *pipeline, size_t bytes)
{
    if (pipeline->room - pipeline->end >= bytes)
        return 0;
    if (pipeline->begin >= pipeline->room / 2) {
        pipeline->end -= pipeline->begin;
        memmove(pipeline->out, pipeline->out + pipeline->begin, pipeline->end);
        pipeline->begin = 0;
    }
    if (pipeline->room - pipeline->end >= bytes)
        return 0;
    size_t room = 2 * pipeline->room + bytes;
    char *out = realloc(pipeline->out, room);
    if (out == NULL)
        return -1;
    pipeline->out = out;
    pipeline->room = room;
    return 0;
}

static void pipeline_put(struct pipeline *pipeline, const char *text, size_t bytes)
{
    memcpy(pipeline->out + pipeline->end, text, bytes);
    pipeline->end += bytes;
}

/* A string as the protocol has it, of two parts. */
static void put_bulk(struct pipeline *pipeline, const char *first, size_t first_bytes,
                     const char *second, size_t second_bytes)
{
    char digits[BULK_BYTES], *digit = digits + sizeof digits;
    *--digit = '\n';
    *--digit = '\r';
    for (size_t n = first_bytes + second_bytes; n > 0 || digit[0] == '\r'; n /= 10)
        *--digit = (char)('0' + n % 10);
    *--digit = '$';
    pipeline_put(pipeline, digit, (size_t)(digits + sizeof digits - digit));
    pipeline_put(pipeline, first, first_bytes);
    pipeline_put(pipeline, second, second_bytes);
    pipeline_put(pipeline, "\r\n", 2);
}

/* Written here and not by redisAppendCommandArgv, which allocates memory for every call
 * first. */
int pipeline_add(struct pipeline *pipeline, const char *article, const char *reader,
                 const char *kind)
{
    size_t article_bytes = strlen(article), reader_bytes = strlen(reader),
           kind_bytes = strlen(kind);
    size_t most = pipeline->head_bytes + 4 * BULK_BYTES + sizeof TOTALS + sizeof READERS +
                  2 * article_bytes + reader_bytes + kind_bytes;
    if (reserve(pipeline, most) != 0)
        return -1;
    pipeline_put(pipeline, pipeline->head, pipeline->head_bytes);
    put_bulk(pipeline, TOTALS, sizeof TOTALS - 1, article, article_bytes);
    put_bulk(pipeline, READERS, sizeof READERS - 1, article, article_bytes);
    put_bulk(pipeline, "", 0, reader, reader_bytes);
    put_bulk(pipeline, "", 0, kind, kind_bytes);
    return 0;
}

int pipeline_send(struct pipeline *pipeline, struct error *error)
{
    while (pipeline_waiting(pipeline)) {
        ssize_t sent = send(pipeline->redis->fd, pipeline->out + pipeline->begin,
                            pipeline->end - pipeline->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : error_set(error, "to Redis: %s", strerror(errno));
        pipeline->begin += (size_t)sent;
    }
    pipeline->begin = pipeline->end = 0;
    return 0;
}

int pipeline_read(struct pipeline *pipeline, struct error *error)
{
    int answers = 0;
    void *found = NULL;
    if (redisBufferRead(pipeline->redis) != REDIS_OK)
        return error_set(error, "from Redis: %s", pipeline->redis->errstr);
    while (redisReaderGetReply(pipeline->redis->reader, &found) == REDIS_OK && found != NULL) {
        redisReply *reply = found;
        bool good = reply->type == REDIS_REPLY_INTEGER;
        if (!good)
            error_set(error, "Redis refuses a reaction: %s",
                      reply->str != NULL ? reply->str : "an answer that is not a number");
        freeReplyObject(reply);
        if (!good)
            return -1;
        answers++;
    }
    if (pipeline->redis->reader->err != 0)
        return error_set(error, "from Redis: %s", pipeline->redis->reader->errstr);
    return answers;
}
