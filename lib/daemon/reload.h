/* SIGHUP: a daemon reads its secrets again and passes them to its links, which reconnect if theirs
 * changed. A secret that cannot be read changes nothing. Loop thread only. */
#ifndef TALLY_DAEMON_RELOAD_H
#define TALLY_DAEMON_RELOAD_H

#include "daemon/links.h"

/* The owner of the links. Both functions are given copies that are wiped afterwards. They return 1,
 * 0 if the secret is the same, or -1 when out of memory. */
struct reload_to {
    int (*broker)(void *user, const char *secret);
    int (*redis)(void *user, const char *password); /* NULL none */
    void *user;
};

/* Logs what it read again, or why it read nothing. */
void reload_secrets(const struct links *links, enum role role, const struct reload_to *to);

#endif
