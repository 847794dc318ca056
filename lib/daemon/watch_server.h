/* A small HTTP server for probes and scrapers: one request a connection, GET and HEAD. A fixed
 * number of connections, of time and of bytes bounds what clients can make it do. The feed, which
 * readers reach, has a larger one. Loop thread only. */
#ifndef TALLY_DAEMON_WATCH_SERVER_H
#define TALLY_DAEMON_WATCH_SERVER_H

#include "core/error.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdint.h>

#define WATCH_SERVER_CONNECTIONS 16 /* a further one closes the one that is open longest */
#define WATCH_SERVER_REQUEST_BYTES 8192
#define WATCH_SERVER_MAX_WAIT_MS 5000 /* from the connection to its end */
#define WATCH_SERVER_PATH_BYTES 256

struct watch_server;

struct watch_server_config {
    const char *address; /* numeric */
    uint16_t port;
    const char *option_address, *option_port; /* their names, for errors */
    /* Writes what is at `path` (without a query) into `body`, and its Content-Type to `type`.
     * Returns 200, 503, or 404 if there is nothing: then `body` is not sent. */
    int (*answer)(void *user, const char *path, struct evbuffer *body, const char **type);
    const char *paths; /* for who asks for another one: "known are …" */
    void *user;
};

/* Listens. `config` and its addresses are needed for the call only; `paths` must outlive the
 * server. NULL with a sentence that names the option in `error`. */
struct watch_server *watch_server_new(struct event_base *base,
                                      const struct watch_server_config *config,
                                      struct error *error);
void watch_server_free(struct watch_server *server); /* NULL is fine */

#endif
