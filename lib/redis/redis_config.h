/* How to reach Redis, from the options that all programs share (daemon/links.h). */
#ifndef TALLY_REDIS_REDIS_CONFIG_H
#define TALLY_REDIS_REDIS_CONFIG_H

#include "core/error.h"
#include "daemon/links.h"
#include "redis/redis_link.h"
#include "redis/redis_tls.h"
#include "redis/redis_url.h"

struct redis_config {
    struct redis_url url;
    struct redis_tls *tls; /* NULL: without */

    /* The first seed of `url`. Its callbacks are not set. What it points to is in this struct and
     * in the arguments of redis_config_init. So those must outlive it, and this struct must not be
     * moved; the code that makes links copies what it needs later. */
    struct redis_link_config link;
};

/* `links` must have passed links_check. `password` NULL: none. Returns 0, or -1 with a sentence
 * that names the option; there is then nothing to release. */
int redis_config_init(struct redis_config *config, const struct links *links, const char *password,
                      struct error *error);

/* After the last link that was made with it. */
void redis_config_fini(struct redis_config *config);

#endif
