/* Who asks over HTTP, by address, so that whoever causes a cost pays for it: each address has its
 * own queue of requests, the addresses take turns, and each has so many articles at a time looked
 * up in Redis. Where connections are too many, an address that has the most gives one up. What
 * costs no lookup waits for none. Pure; one thread. */
#ifndef TALLY_FEED_VISITORS_H
#define TALLY_FEED_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Three of the longest lists: their answers take the feed about a millisecond. */
#define VISITORS_LOOKUPS_MOST 300

struct visitor {
    unsigned char address[16]; /* IPv6, of it the first 64 bits; IPv4 mapped */
    size_t connections;
    size_t looked_up;                /* articles, now */
    struct visitors_request *asking; /* requests that look something up, the oldest first */
    struct visitors_request *plain;  /* the others */
    struct visitor *prev, *next;     /* whose turn it is first */
};

/* Within what the caller keeps of a request. */
struct visitors_request {
    struct visitor *visitor;
    size_t articles; /* to look up */
    struct visitors_request *prev, *next;
};

struct visitors {
    struct visitor *first;
};

/* A connection from there begins. NULL on no memory. */
struct visitor *visitors_enter(struct visitors *visitors, const unsigned char address[16]);

/* It ends; then nothing of it waits. */
void visitors_leave(struct visitors *visitors, struct visitor *visitor);

/* Who has the most connections; NULL: nobody has one. */
struct visitor *visitors_heaviest(const struct visitors *visitors);

/* A request waits for its turn. `visitor` and `articles` are set. */
void visitors_wait(struct visitors_request *request);

/* It waits no more, without a turn. */
void visitors_forget(struct visitors_request *request);

/* Takes the request whose turn it is out of its queue, and counts its articles as looked up; NULL:
 * none may go now. */
struct visitors_request *visitors_next(struct visitors *visitors);

/* So many of the visitor's articles are looked up no more. */
void visitors_looked_up(struct visitor *visitor, size_t articles);

#endif
