/* What a daemon tells systemd (Type=notify, WatchdogSec=): that it serves, what ails it, that it is
 * alive, that it ends. Tells nothing where no systemd listens ($NOTIFY_SOCKET). Loop thread only.
 */
#ifndef TALLY_DAEMON_NOTIFY_H
#define TALLY_DAEMON_NOTIFY_H

#include <event2/event.h>

#define NOTIFY_STATUS_BYTES 256 /* longer ones are cut */

struct notify;

/* Feeds the watchdog from the loop, twice in its time. Returns NULL when out of memory. The base
 * must outlive it. */
struct notify *notify_new(struct event_base *base);
void notify_free(struct notify *notify); /* NULL is fine */

/* The daemon serves: what systemd starts after it may start. Only the first call tells. */
void notify_ready(struct notify *notify);

/* One line for `systemctl status`. "" means that nothing ails it. Tells changes only. */
void notify_status(struct notify *notify, const char *reason);

/* The daemon ends, and nobody need restart it. */
void notify_stopping(struct notify *notify);

#endif
