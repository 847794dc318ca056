/* Commands about one place of a store (redis_nodes.h). Each answer is judged before the caller sees
 * it: an error that says that the place is elsewhere, or on its way there, counts as none. Loop
 * thread only. */
#ifndef TALLY_FEED_STORE_REQUEST_H
#define TALLY_FEED_STORE_REQUEST_H

#include "redis/redis_nodes.h"

#include <stddef.h>

/* Of all requests; outlives them. */
struct store_request_config {
    struct redis_nodes *nodes;
    /* An answer said, with this error, that the place is elsewhere. Called before the request's
     * callback. */
    void (*on_moving)(void *user, unsigned place, const char *error);
    void *user;
};

/* redis_nodes_send. `callback` is called once, with NULL if there is no answer. Returns 0, or -1;
 * `callback` is then not called. */
int store_request_send(const struct store_request_config *config, unsigned place,
                       redis_link_cb *callback, void *user, int n, const char **words,
                       const size_t *bytes);

#endif
