/* The collector at work: the spool's rings into Redis, receipts and a status to the broker, on one
 * libevent loop. One thread. */
#ifndef TALLY_COLLECTOR_SERVE_H
#define TALLY_COLLECTOR_SERVE_H

#include "settings.h"

#include <event2/event.h>
#include <stdbool.h>

struct serve;

/* `mqtt_secret` and `redis_password` (NULL none) are copied; `settings` must hold. NULL on no
 * memory. */
struct serve *serve_new(struct event_base *base, const struct settings *settings,
                        const char *mqtt_secret, const char *redis_password);

/* Runs until serve_stop, and then until what is under way is answered, 2 s at most. Returns 0, or
 * -1 where the spool cannot be had (another collector has it, or it is none): said. */
int serve_run(struct serve *serve);

/* What serve_run does over and over, for who waits otherwise (the simulator): serve_works does what
 * can be done now and returns whether to wait for an event of the base; serve_waited comes after,
 * waited or not. */
bool serve_works(struct serve *serve);
void serve_waited(struct serve *serve);

/* Its settings' secrets are read again (SIGHUP): says which are others, or why none is. */
void serve_reload(struct serve *serve);

void serve_stop(struct serve *serve);

/* Says that it is offline, ends the connections, frees. NULL is fine. */
void serve_free(struct serve *serve);

#endif
