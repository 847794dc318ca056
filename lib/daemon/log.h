/* logfmt lines on stderr: time=… level=… program=… msg="…" key=value. One thread. */
#ifndef TALLY_DAEMON_LOG_H
#define TALLY_DAEMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the program; lines above `level` are dropped. */
void log_init(const char *program, enum log_level level);

/* Writes one line. `format`, which may be NULL, appends pairs after msg: keys and values with one
 * space between pairs and none inside a pair, at most 511 bytes. Example: log_line(LOG_LEVEL_INFO,
 * "redis connected", "host=%s port=%d", h, p). Values are quoted where necessary, with JSON's
 * escapes, so that every line parses and no value can forge one. Long lines are truncated with
 * their quotes closed. */
void log_line(enum log_level level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
