/* Writes to the broker's log in logfmt, so that Mosquitto does not take a value for a format, and
 * so that the level survives. */
#include "broker.h"

#include "line.h"

#include <stdarg.h>

void broker_say(int level, const char *msg, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    line_format(line,
                level == MOSQ_LOG_ERR       ? "error"
                : level == MOSQ_LOG_WARNING ? "warning"
                                            : "info",
                msg, format, arguments);
    va_end(arguments);
    /* Warnings go out as notices. An edge does not log Mosquitto's own warnings, because a client
     * can cause one with each packet (a PUBREC of an unknown id), and they name the client. */
    int type = level == MOSQ_LOG_WARNING ? MOSQ_LOG_NOTICE : level;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    mosquitto_log_printf(type, line); /* its % are doubled */
#pragma GCC diagnostic pop
}
