/* What evhttp answers by itself, to requests that never reach its user (too long, malformed, of an
 * unknown method or expectation), is HTML. libevent 2.1, which says 400 to what is too long, has no
 * way to say it otherwise: so it is looked for in a connection's output, and this server's JSON put
 * in its place. Loop thread only.
 */
#ifndef TALLY_FEED_ERROR_PAGE_H
#define TALLY_FEED_ERROR_PAGE_H

#include <event2/buffer.h>

/* Where a whole error answer stands in `output`, which nothing but evhttp has written to, replaces
 * it and returns its status; else 0. evhttp closes the connection after it. `sizes` says which are
 * accepted. */
int error_page_replace(struct evbuffer *output, const char *sizes);

#endif
