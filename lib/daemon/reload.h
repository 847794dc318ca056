/* SIGHUP to a daemon: its secrets are read again, and handed to its links, which connect anew where
 * theirs is another. What cannot be read changes nothing. Loop thread only. */
#ifndef TALLY_DAEMON_RELOAD_H
#define TALLY_DAEMON_RELOAD_H

#include "daemon/links.h"

/* Who holds the links. Both are given copies that are wiped afterwards, and return 1, 0 where the
 * secret is the same, or -1 on no memory. */
struct reload_to {
    int (*broker)(void *user, const char *secret);
    int (*redis)(void *user, const char *password); /* NULL none */
    void *user;
};

/* Logs what was read again, or why nothing was. */
void reload_secrets(const struct links *links, enum role role, const struct reload_to *to);

#endif
