/* An answer can arrive before the map shows that its place is moving. The answer then reports the
 * move, and the caller gets NULL. */
#include "store_request.h"

#include "redis/redis_answer.h"

#include <stdlib.h>
#include <string.h>

/* A command, until it is answered. */
struct request {
    const struct store_request_config *config;
    unsigned place;
    redis_link_cb *callback;
    void *user;
};

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
    const char *error = reply != NULL ? redis_answer_error(reply) : NULL;
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
    *request = (struct request){config, place, callback, user};
    if (redis_nodes_send(config->nodes, place, on_answer, request, n, words, bytes) == 0)
        return 0;
    free(request);
    return -1;
}
