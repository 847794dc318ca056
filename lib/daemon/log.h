/* logfmt lines on stderr: time=… level=… program=… msg="…" key=value. One thread. */
#ifndef TALLY_DAEMON_LOG_H
#define TALLY_DAEMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the program; lines above `level` are dropped. */
void log_init(const char *program, enum log_level level);

/* One line. `format` after msg gives further pairs, a key and what to print of it, with one space
 * between two and none within: log_line(LOG_LEVEL_INFO, "redis connected", "host=%s port=%d", h,
 * p); 511 bytes at most. May be NULL. A value that needs it is quoted, with JSON's escapes, so that
 * every line parses and nothing forges one. What is too long is cut, quotes closed. */
void log_line(enum log_level level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
