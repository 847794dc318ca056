/* The services file: who may connect besides readers (INTERFACES.md 3). Reads files; never logs a
 * secret. */
#ifndef TALLY_CORE_SERVICES_H
#define TALLY_CORE_SERVICES_H

#include "core/error.h"

#define SERVICES_MAX 64
#define SERVICES_NAME_MAX_BYTES 64
#define SERVICES_SECRET_MAX_BYTES 128

enum role { ROLE_READER, ROLE_NEWSROOM, ROLE_OPERATOR, ROLE_COLLECTOR, ROLE_FEED, ROLE_GATEWAY };

struct service {
    char name[SERVICES_NAME_MAX_BYTES + 1];
    enum role role;
    char secret[SERVICES_SECRET_MAX_BYTES +
                1]; /* zero padded, so that comparisons take constant time */
};

struct services {
    int n;
    struct service service[SERVICES_MAX];
};

/* Loads the file. Returns 0, or -1 with "PATH:LINE: …" in `error` if others may access the file
 * (mode & 007) or a line is invalid. */
int services_load(struct services *services, const char *path, struct error *error);

/* The service with this name, or NULL. */
const struct service *services_find(const struct services *services, const char *name);

/* Whether `secret` (may be NULL) is the service's; constant time (sodium_memcmp over the padded
 * length). */
int services_secret_fits(const struct service *service, const char *secret);

#endif
