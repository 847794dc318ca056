#include "visitors.h"

#include <stdlib.h>
#include <utlist.h>

struct visitor *visitors_enter(struct visitors *visitors, uint64_t key, bool exempt)
{
    struct visitor *one;
    DL_FOREACH(visitors->first, one)
    {
        if (one->key == key && one->exempt == exempt) {
            one->connections++;
            return one;
        }
    }
    one = calloc(1, sizeof *one);
    if (one == NULL)
        return NULL;
    one->key = key;
    one->exempt = exempt;
    one->connections = 1;
    DL_APPEND(visitors->first, one);
    return one;
}

void visitors_leave(struct visitors *visitors, struct visitor *visitor)
{
    if (--visitor->connections > 0)
        return;
    DL_DELETE(visitors->first, visitor);
    free(visitor);
}

struct visitor *visitors_heaviest(const struct visitors *visitors)
{
    struct visitor *one, *heaviest = NULL;
    DL_FOREACH(visitors->first, one)
    {
        if (heaviest == NULL || one->connections > heaviest->connections)
            heaviest = one;
    }
    return heaviest;
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
