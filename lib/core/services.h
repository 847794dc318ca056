/* The services file: who besides readers may connect (INTERFACES.md 3). Reads files; secrets never
 * go to a log. */
#ifndef TALLY_CORE_SERVICES_H
#define TALLY_CORE_SERVICES_H

#include <stddef.h>

#define SERVICES_MAX 64
#define SERVICES_NAME_MAX_BYTES 64
#define SERVICES_SECRET_MAX_BYTES 128

enum role { ROLE_READER, ROLE_NEWSROOM, ROLE_OPERATOR, ROLE_COLLECTOR, ROLE_FEED, ROLE_GATEWAY };

struct service {
    char name[SERVICES_NAME_MAX_BYTES + 1];
    enum role role;
    char secret[SERVICES_SECRET_MAX_BYTES +
                1]; /* zero padded, so that comparing takes constant time */
};

struct services {
    int n;
    struct service service[SERVICES_MAX];
};

/* Loads the file. Refuses a file that others may read (mode & 007) or that has a bad line: -1 with
 * "PATH:LINE: …" in `error`. 0 else. */
int services_load(struct services *services, const char *path, char *error, size_t error_bytes);

/* The service with this name, or NULL. */
const struct service *services_find(const struct services *services, const char *name);

/* Whether `secret` (may be NULL) is the service's; constant time (sodium_memcmp over the padded
 * length). */
int services_secret_fits(const struct service *service, const char *secret);

#endif
