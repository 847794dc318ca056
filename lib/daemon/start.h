/* What both daemons do before they serve: the log level by its name, and the signals that they know
 * held back until something can be done about them. One thread. */
#ifndef TALLY_DAEMON_START_H
#define TALLY_DAEMON_START_H

#include "daemon/log.h"

#include <stdbool.h>

/* "error" … "debug". Returns 0, or -1. */
int start_log_level(const char *name, enum log_level *level);

/* Holds SIGTERM, SIGINT and SIGHUP back (true), or lets those that came be heard (false). */
void start_hold_signals(bool hold);

#endif
