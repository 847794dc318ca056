/* Remembers in which generation of its place a command was sent. Answers can overtake the news of a
 * new owner, or come after it. */
#include "store_request.h"

#include "reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A command, until it is answered. */
struct request {
    const struct store_request_config *config;
    unsigned place;
    uint64_t generation;
    redis_link_cb *callback;
    void *user;
};

/* The error in an answer: its own, or the error of a command in one of Tally's scripts, which the
 * script passes on as {'error', what, …}. NULL if none. */
static const char *error_of(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
        reply_is_string(reply->element[0]) && reply_is_string(reply->element[1]) &&
        strcmp(reply->element[0]->str, "error") == 0)
        return reply->element[1]->str;
    return NULL;
}

/* EXECABORT hides why a command was refused: it may be any of these. */
static bool is_moving(struct redis_nodes *nodes, const char *error)
{
    return redis_nodes_moving(nodes, error) || strncmp(error, "EXECABORT", 9) == 0;
}

static void on_answer(void *user, const redisReply *reply)
{
    const struct request request = *(struct request *)user;
    const struct store_request_config *config = request.config;
    free(user);
    if (reply != NULL && redis_nodes_generation(config->nodes, request.place) != request.generation)
        reply = NULL; /* from a former owner */
    const char *error = reply != NULL ? error_of(reply) : NULL;
    if (error != NULL && is_moving(config->nodes, error)) {
        config->on_moving(config->user, request.place, error);
        reply = NULL;
    }
    request.callback(request.user, reply);
}

int store_request_send(const struct store_request_config *config, unsigned place,
                       redis_link_cb *callback, void *user, int n, const char **words,
                       const size_t *bytes)
{
    struct request *request = malloc(sizeof *request);
    if (request == NULL)
        return -1;
    *request = (struct request){.config = config,
                                .place = place,
                                .generation = redis_nodes_generation(config->nodes, place),
                                .callback = callback,
                                .user = user};
    if (redis_nodes_send(config->nodes, place, on_answer, request, n, words, bytes) == 0)
        return 0;
    free(request);
    return -1;
}
