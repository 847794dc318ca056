/* The answer of a former owner can arrive after the owner has changed. Its work may be lost,
 * so the caller gets the same NULL as for a lost connection. */
#include "redis/redis_guard.h"

#include <stdlib.h>

/* A command, until it is answered. */
struct redis_guard {
    const uint64_t *generation; /* of its place, now */
    uint64_t sent_in;           /* the same, when it was sent */
    redis_link_cb *fn;
    void *user;
};

static void on_answer(void *user, const redisReply *reply)
{
    const struct redis_guard guard = *(struct redis_guard *)user;
    free(user);
    guard.fn(guard.user, guard.sent_in == *guard.generation ? reply : NULL);
}

int redis_guard_send(struct redis_link *link, const uint64_t *generation, redis_link_cb *fn,
                     void *user, int argc, const char **argv, const size_t *bytes)
{
    if (fn == NULL)
        return redis_link_send(link, NULL, user, argc, argv, bytes);
    struct redis_guard *guard = malloc(sizeof *guard);
    if (guard == NULL)
        return -1;
    *guard = (struct redis_guard){generation, *generation, fn, user};
    if (redis_link_send(link, on_answer, guard, argc, argv, bytes) == 0)
        return 0;
    free(guard);
    return -1;
}
