/* logfmt lines on stderr: time=… level=… program=… msg="…" key=value. One thread. */
#ifndef TALLY_DAEMON_LOG_H
#define TALLY_DAEMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the program; lines above `level` are dropped. */
void log_init(const char *program, enum log_level level);

/* One line. `format` after msg gives further pairs: log_line(LOG_LEVEL_INFO, "redis connected",
 * "host=%s port=%d", h, p). May be NULL. Control characters and quotes in msg and in the pairs'
 * result are escaped, so that nothing forges a line. */
void log_line(enum log_level level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
