/* What libevent lacks a word for. Of the thread that runs the event's loop. */
#ifndef TALLY_DAEMON_EVENTS_H
#define TALLY_DAEMON_EVENTS_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

/* Has a timer fire in so many milliseconds, or, where it is persistent, each so many. 0, or -1 on
 * no memory, which can be only where it was not pending. */
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
