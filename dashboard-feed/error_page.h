/* evhttp itself answers requests that never reach its user (too long, malformed, of an unknown
 * method or expectation), in HTML. libevent 2.1, which answers 400 to a request that is too long,
 * offers no other form. So this looks for such an answer in a connection's output and replaces it
 * with this server's JSON. Loop thread only. */
#ifndef TALLY_FEED_ERROR_PAGE_H
#define TALLY_FEED_ERROR_PAGE_H

#include <event2/buffer.h>

/* Replaces a complete error answer in `output`, which only evhttp has written to, and returns its
 * status; 0 if there is none. evhttp then closes the connection. `sizes` says which are
 * accepted. */
int error_page_replace(struct evbuffer *output, const char *sizes);

#endif
