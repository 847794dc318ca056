/* What both daemons do before they serve: their own secrets out of files, the log level by its
 * name, and the signals that end them held back until something can be done about them. One thread.
 */
#ifndef TALLY_DAEMON_START_H
#define TALLY_DAEMON_START_H

#include "core/services.h"
#include "daemon/log.h"

#include <stdbool.h>
#include <stddef.h>

/* The secret of `user`, who must have `role`, into `secret`. Returns 0, or -1 with a sentence that
 * names the option services_file or user; no other service's secret stays in memory. */
int start_secret(const char *services_file, const char *user, enum role role,
                 char secret[SERVICES_SECRET_MAX_BYTES + 1], char *error, size_t error_bytes);

/* The first line of a file that others may not read; "" for the path "". Returns 0, or -1 with a
 * sentence that names the option redis_password_file. */
int start_redis_password(const char *path, char *password, size_t password_bytes, char *error,
                         size_t error_bytes);

/* "error" … "debug". Returns 0, or -1. */
int start_log_level(const char *name, enum log_level *level);

/* Holds SIGTERM and SIGINT back (true), or lets those that came be heard (false). */
void start_hold_signals(bool hold);

#endif
