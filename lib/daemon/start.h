/* What both daemons do before they serve: parse the options of the log, take libevent's messages
 * into it, and hold back the signals that they handle until they can act on them. One thread. */
#ifndef TALLY_DAEMON_START_H
#define TALLY_DAEMON_START_H

#include "daemon/log.h"

#include <stdbool.h>

/* Parses "error" … "debug". Returns 0, or -1. */
int start_log_level(const char *name, enum log_level *level);

/* Parses "logfmt" or "json". Returns 0, or -1. */
int start_log_format(const char *name, enum log_format *format);

/* Makes libevent's messages lines of the log. Call it once. */
void start_libevent_log(void);

/* Blocks SIGTERM, SIGINT and SIGHUP (true), or unblocks them and delivers any that are pending
 * (false). */
void start_hold_signals(bool hold);

#endif
