/* Visitors by address in a hash, and by their number of connections in a list for each number: that
 * number changes by one at a time, so the greatest is always at hand. */
#define HASH_NONFATAL_OOM 1 /* before uthash.h, which the header includes */
#define uthash_nonfatal_oom(entry) ((entry)->unhashed = true)
#include "visitors.h"

#include <stdlib.h>
#include <utlist.h>

static size_t visitors_rank(const struct visitor *visitor)
{
    return visitor->connections < VISITORS_CONNECTIONS_MOST ? visitor->connections
                                                            : VISITORS_CONNECTIONS_MOST;
}

/* Changes the visitor's number of connections by one. */
static void visitors_count(struct visitors *visitors, struct visitor *visitor, bool more)
{
    if (visitor->connections > 0)
        DL_DELETE2(visitors->with[visitors_rank(visitor)], visitor, lighter, heavier);
    visitor->connections = more ? visitor->connections + 1 : visitor->connections - 1;
    size_t rank = visitors_rank(visitor);
    if (rank > 0)
        DL_APPEND2(visitors->with[rank], visitor, lighter, heavier);
    if (rank > visitors->most)
        visitors->most = rank;
    while (visitors->most > 0 && visitors->with[visitors->most] == NULL)
        visitors->most--;
}

static struct visitor *visitors_new(struct visitors *visitors, uint64_t key, bool exempt)
{
    struct visitor *one = calloc(1, sizeof *one);
    if (one == NULL)
        return NULL;
    one->key = key;
    one->exempt = exempt;
    HASH_ADD(hh, visitors->by_key[exempt], key, sizeof one->key, one);
    if (one->unhashed) {
        free(one);
        return NULL;
    }
    DL_APPEND(visitors->first, one);
    return one;
}

bool visitors_enter(struct visitors *visitors, struct visitors_connection *connection, uint64_t key,
                    bool exempt)
{
    struct visitor *one;
    HASH_FIND(hh, visitors->by_key[exempt], &key, sizeof key, one);
    if (one == NULL)
        one = visitors_new(visitors, key, exempt);
    connection->visitor = one;
    if (one == NULL)
        return false;
    DL_APPEND(one->first, connection);
    visitors_count(visitors, one, true);
    return true;
}

void visitors_touch(struct visitors_connection *connection)
{
    if (connection->given_up)
        return;
    DL_DELETE(connection->visitor->first, connection);
    DL_APPEND(connection->visitor->first, connection);
}

void visitors_give_up(struct visitors *visitors, struct visitors_connection *connection)
{
    struct visitor *visitor = connection->visitor;
    DL_DELETE(visitor->first, connection);
    visitors_count(visitors, visitor, false);
    connection->given_up = true;
    visitor->given_up++;
}

void visitors_leave(struct visitors *visitors, struct visitors_connection *connection)
{
    struct visitor *visitor = connection->visitor;
    if (!connection->given_up)
        visitors_give_up(visitors, connection);
    connection->visitor = NULL;
    connection->given_up = false;
    if (--visitor->given_up > 0 || visitor->connections > 0)
        return;
    DL_DELETE(visitors->first, visitor);
    HASH_DEL(visitors->by_key[visitor->exempt], visitor);
    free(visitor);
}

struct visitor *visitors_heaviest(const struct visitors *visitors)
{
    return visitors->with[visitors->most];
}

void visitors_wait(struct visitors_request *request)
{
    struct visitor *visitor = request->visitor;
    if (request->articles > 0)
        DL_APPEND(visitor->asking, request);
    else
        DL_APPEND(visitor->plain, request);
}

void visitors_forget(struct visitors_request *request)
{
    struct visitor *visitor = request->visitor;
    if (request->articles > 0)
        DL_DELETE(visitor->asking, request);
    else
        DL_DELETE(visitor->plain, request);
}

/* The visitor's first request that may go. */
static struct visitors_request *visitors_take(struct visitor *visitor)
{
    struct visitors_request *one = visitor->plain;
    if (visitor->resting)
        return NULL;
    if (one != NULL) {
        DL_DELETE(visitor->plain, one);
        return one;
    }
    one = visitor->asking;
    if (one == NULL ||
        (visitor->looked_up > 0 && visitor->looked_up + one->articles > VISITORS_LOOKUPS_MOST))
        return NULL;
    DL_DELETE(visitor->asking, one);
    visitor->looked_up += one->articles;
    return one;
}

struct visitors_request *visitors_next(struct visitors *visitors)
{
    struct visitor *one;
    DL_FOREACH(visitors->first, one)
    {
        struct visitors_request *request = visitors_take(one);
        if (request == NULL)
            continue;
        DL_DELETE(visitors->first, one);
        DL_APPEND(visitors->first, one);
        return request;
    }
    return NULL;
}

void visitors_looked_up(struct visitor *visitor, size_t articles)
{
    visitor->looked_up -= articles;
}
