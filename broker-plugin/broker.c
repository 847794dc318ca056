/* Writes to the broker's log in logfmt, so that Mosquitto does not take a value for a format, and
 * so that the level survives. */
#include "broker.h"

#include "line.h"

#include <stdarg.h>

/* 2.1's headers agree with what broker.h says of them; 2.0's lay out the shared data alike. */
_Static_assert(offsetof(struct mosquitto_evt_disconnect, client) ==
                   offsetof(struct broker_evt_client, client),
               "DISCONNECT");
#if __has_include(<mosquitto/broker.h>)
_Static_assert((int)MOSQ_EVT_CONNECT == BROKER_EVT_CONNECT, "CONNECT");
_Static_assert((int)MOSQ_EVT_CLIENT_OFFLINE == BROKER_EVT_CLIENT_OFFLINE, "CLIENT_OFFLINE");
_Static_assert((int)MOSQ_ERR_QUOTA_EXCEEDED == BROKER_ERR_QUOTA_EXCEEDED, "QUOTA_EXCEEDED");
_Static_assert((int)MOSQ_ERR_CONNECTION_RATE_EXCEEDED == BROKER_ERR_CONNECTION_RATE_EXCEEDED,
               "CONNECTION_RATE_EXCEEDED");
_Static_assert((int)MOSQ_ERR_ADMINISTRATIVE_ACTION == 152, "ADMINISTRATIVE_ACTION");
_Static_assert(offsetof(struct mosquitto_evt_connect, client) ==
                   offsetof(struct broker_evt_client, client),
               "CONNECT");
_Static_assert(offsetof(struct mosquitto_evt_client_offline, client) ==
                   offsetof(struct broker_evt_client, client),
               "CLIENT_OFFLINE");
_Static_assert(offsetof(struct mosquitto_evt_tick, next_ms) ==
                   offsetof(struct broker_evt_tick, next_ms),
               "TICK");
#else
_Static_assert((int)MOSQ_ERR_ADMINISTRATIVE_ACTION == 30, "ADMINISTRATIVE_ACTION");
_Static_assert(offsetof(struct mosquitto_evt_tick, next_ns) ==
                   offsetof(struct broker_evt_tick, next_ms),
               "TICK");
#endif

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
