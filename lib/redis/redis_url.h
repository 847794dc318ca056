/* Where Redis is, as the option redis_url says it. Pure; any thread.
 *
 *   redis://[user@]host[:port][,host:port…][/db]          a Redis, or some nodes of a cluster
 *   rediss://…                                            the same, with TLS
 *   unix://[user@]/path[?db=n]                            a Redis on this machine
 *   redis+sentinel://[user@]host[:port][,…]/name[/db]     Sentinels, and the name of the primary
 *   rediss+sentinel://…                                   the same, with TLS to both
 *
 * An IPv6 address is in brackets. A port that is left out is 6379, and 26379 for a Sentinel. */
#ifndef TALLY_REDIS_REDIS_URL_H
#define TALLY_REDIS_REDIS_URL_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#define REDIS_URL_SEEDS_MAX 16
#define REDIS_URL_HOST_BYTES 256 /* with the NUL, as all that follow */
#define REDIS_URL_USER_BYTES 65
#define REDIS_URL_NAME_BYTES 65
#define REDIS_URL_DB_MAX 999999

/* For the help of an option. */
#define REDIS_URL_ACCEPTS "a redis, rediss, unix or redis+sentinel URL, or empty"

enum redis_url_kind { REDIS_URL_ONE, REDIS_URL_SENTINEL };

struct redis_url_seed {
    char host[REDIS_URL_HOST_BYTES]; /* a name, an address without brackets, or a socket's path */
    int port;                        /* 0 for a path */
};

struct redis_url {
    enum redis_url_kind kind;
    bool tls;
    unsigned seeds_n; /* 1 to REDIS_URL_SEEDS_MAX; a path is the only one */
    struct redis_url_seed seeds[REDIS_URL_SEEDS_MAX];
    char user[REDIS_URL_USER_BYTES]; /* "": Redis's default user */
    char name[REDIS_URL_NAME_BYTES]; /* the primary's name among the Sentinels; "" without them */
    int db;
};

/* Returns 0, or -1 with what is wrong in `error`. A password is refused. No error repeats what is
 * before an @, because somebody may have written a password there. */
int redis_url_parse(struct redis_url *url, const char *text, struct error *error);

/* The one server of a host (or path) and port. */
void redis_url_of_host(struct redis_url *url, const char *host, int port);

#endif
