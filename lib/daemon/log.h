/* Log lines on stderr, in logfmt (time=… level=… program=… msg="…" key=value) or as JSON objects
 * with the same members. If stderr is systemd's journal, each line begins with its priority as <N>
 * (sd-daemon(3)). One thread. */
#ifndef TALLY_DAEMON_LOG_H
#define TALLY_DAEMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Names the program; lines above `level` are dropped. Lines are logfmt until log_use. Looks at
 * JOURNAL_STREAM and stderr: they name the same stream where stderr is the journal. */
void log_init(const char *program, enum log_level level);

/* The form of all lines from now on. */
void log_use(enum log_format format);

/* Writes one line. `format`, which may be NULL, appends pairs after msg: keys and values with one
 * space between pairs and none inside a pair, at most 511 bytes. Example: log_line(LOG_LEVEL_INFO,
 * "redis connected", "host=%s port=%d", h, p). Values are quoted where necessary, with JSON's
 * escapes, so that every line parses and no value can forge one. Long lines are truncated with
 * their quotes closed. */
void log_line(enum log_level level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
