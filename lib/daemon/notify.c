/* Wraps sd_notify: remembers what it told, and feeds the watchdog from a timer of the loop, so that
 * a loop that hangs is restarted. */
#include "daemon/notify.h"

#include "daemon/events.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define FEEDS 2 /* in the time after which systemd restarts */

struct notify {
    struct event *watchdog; /* NULL: not watched */
    bool ready;
    char status[NOTIFY_STATUS_BYTES];
};

/* A lost message is told again (watchdog), or only informs: so results are not looked at. */
static void notify_tell(const char *state)
{
    (void)sd_notify(0, state);
}

static void on_watchdog(evutil_socket_t fd, short what, void *notify)
{
    (void)fd;
    (void)what;
    (void)notify;
    notify_tell("WATCHDOG=1");
}

struct notify *notify_new(struct event_base *base)
{
    uint64_t limit_us = 0;
    struct notify *notify = calloc(1, sizeof *notify);
    if (notify == NULL)
        return NULL;
    if (sd_watchdog_enabled(0, &limit_us) <= 0)
        return notify;
    uint64_t every_ms = limit_us / 1000 / FEEDS;
    notify->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, notify);
    if (notify->watchdog != NULL && events_arm(notify->watchdog, every_ms > 0 ? every_ms : 1) == 0)
        return notify;
    notify_free(notify);
    return NULL;
}

void notify_free(struct notify *notify)
{
    if (notify == NULL)
        return;
    events_free(notify->watchdog);
    free(notify);
}

void notify_ready(struct notify *notify)
{
    if (!notify->ready)
        notify_tell("READY=1");
    notify->ready = true;
}

void notify_status(struct notify *notify, const char *reason)
{
    char line[sizeof "STATUS=" + NOTIFY_STATUS_BYTES];
    const char *text = reason[0] != '\0' ? reason : "ok";
    if (strncmp(text, notify->status, sizeof notify->status - 1) == 0)
        return;
    snprintf(notify->status, sizeof notify->status, "%s", text);
    snprintf(line, sizeof line, "STATUS=%s", notify->status);
    line[strcspn(line, "\n")] = '\0'; /* another line would be another variable */
    notify_tell(line);
}

void notify_stopping(struct notify *notify)
{
    (void)notify;
    notify_tell("STOPPING=1");
}
