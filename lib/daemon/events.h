/* Helpers for libevent. Call them from the thread that runs the event loop. */
#ifndef TALLY_DAEMON_EVENTS_H
#define TALLY_DAEMON_EVENTS_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

/* Schedules a timer to fire after `ms` milliseconds or, if it is persistent, every `ms`
 * milliseconds. Returns 0, or -1 when out of memory, which can happen only if it was not
 * pending. */
static inline int events_arm(struct event *timer, uint64_t ms)
{
    const struct timeval after = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    return event_add(timer, &after);
}

/* NULL is fine. */
static inline void events_free(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

#endif
