/* HTTP clients by address, so that whichever address causes a cost pays for it. Each address has
 * its own queue of requests, addresses take turns, and each has a bounded number of articles looked
 * up in Redis at a time. An address that rests has no turns. When there are too many connections,
 * an address that has the most gives one up. A request without a lookup never waits for one. All
 * but visitors_next take the same time for however many connections and visitors there are. Pure;
 * one thread. */
#ifndef TALLY_FEED_VISITORS_H
#define TALLY_FEED_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* Three of the longest lists: their answers take the feed about a millisecond. */
#define VISITORS_LOOKUPS_MOST 300

/* Visitors with this many connections, or more, count as equally heavy. */
#define VISITORS_CONNECTIONS_MOST 256

struct visitor {
    uint64_t key;  /* address_key() of its address */
    bool exempt;   /* a proxy: no budget bounds it, and others with its key are another visitor */
    bool resting;  /* its budget is used up (http_budget.h): it has no turns */
    size_t paused; /* connections of it that are not read until it can pay */
    size_t connections;                /* that are not given up */
    size_t given_up;                   /* that have not left yet */
    size_t looked_up;                  /* articles, now */
    struct visitors_connection *first; /* of `connections`, longest idle first */
    struct visitors_request *asking;   /* requests that look something up, the oldest first */
    struct visitors_request *plain;    /* the others */
    struct visitor *prev, *next;       /* whose turn it is first */
    struct visitor *lighter, *heavier; /* neighbours among those with as many connections */
    bool unhashed;                     /* uthash had no memory */
    UT_hash_handle hh;                 /* by key */
};

/* Within what the caller keeps of a connection. */
struct visitors_connection {
    struct visitor *visitor; /* NULL: it has not entered */
    void *user;              /* the caller's */
    bool given_up;
    struct visitors_connection *prev, *next; /* of its visitor */
};

/* Within what the caller keeps of a request. */
struct visitors_request {
    struct visitor *visitor;
    void *user;      /* the caller's */
    size_t articles; /* to look up */
    struct visitors_request *prev, *next;
};

/* Zeroes: nobody has entered. */
struct visitors {
    struct visitor *first;
    struct visitor *by_key[2]; /* those that are not exempt, and those that are */
    struct visitor *with[VISITORS_CONNECTIONS_MOST + 1]; /* so many connections */
    size_t most;                                         /* connections of a visitor, at most */
};

/* A connection, with `visitor` NULL, begins, from the address with this address_key(). Sets its
 * visitor. False on no memory. */
bool visitors_enter(struct visitors *visitors, struct visitors_connection *connection, uint64_t key,
                    bool exempt);

/* It did something: it is now the visitor's least idle one. */
void visitors_touch(struct visitors_connection *connection);

/* The caller has begun to close it: it no longer counts. Once at most. */
void visitors_give_up(struct visitors *visitors, struct visitors_connection *connection);

/* It ends; then nothing of it waits. */
void visitors_leave(struct visitors *visitors, struct visitors_connection *connection);

/* The visitor with the most connections; NULL: there are no connections. */
struct visitor *visitors_heaviest(const struct visitors *visitors);

/* A request waits for its turn. `visitor` and `articles` are set. */
void visitors_wait(struct visitors_request *request);

/* It waits no more, without a turn. */
void visitors_forget(struct visitors_request *request);

/* Takes the request whose turn it is out of its queue, and counts its articles as looked up; NULL:
 * none may go now. */
struct visitors_request *visitors_next(struct visitors *visitors);

/* This many of the visitor's lookups have ended. */
void visitors_looked_up(struct visitor *visitor, size_t articles);

#endif
