/* Parses the options of the log, and blocks signals until the loop can take them. */
#include "daemon/start.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

int start_log_level(const char *name, enum log_level *level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -1;
}

int start_log_format(const char *name, enum log_format *format)
{
    bool json = strcmp(name, "json") == 0;
    *format = json ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT;
    return json || strcmp(name, "logfmt") == 0 ? 0 : -1;
}

static void on_libevent(int severity, const char *text)
{
    log_line(severity >= EVENT_LOG_WARN ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "libevent",
             "text=%s", text);
}

void start_libevent_log(void)
{
    event_set_log_callback(on_libevent);
}

void start_hold_signals(bool hold)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &ends, NULL);
}
