/* The collector at work: the spool's rings into Redis, receipts and a status to the broker, on one
 * libevent loop. One thread. */
#ifndef TALLY_COLLECTOR_SERVE_H
#define TALLY_COLLECTOR_SERVE_H

#include "collector_settings.h"

#include <event2/event.h>
#include <stdbool.h>

struct redis_config;
struct serve;

/* `mqtt_secret` and what `redis` says are copied (NULL: redis_host and redis_port alone); its TLS
 * and `settings` must outlive the program. NULL on no memory. */
struct serve *serve_new(struct event_base *base, const struct collector_settings *settings,
                        const char *mqtt_secret, const struct redis_config *redis);

/* Runs until serve_stop, and then until everything under way is answered, 2 s at most. Returns 0,
 * or -1 if the spool is unavailable (another collector has it, or it is not a spool); the reason is
 * logged. */
int serve_run(struct serve *serve);

/* The steps of serve_run's loop, for callers with their own way of waiting (the simulator).
 * serve_works does whatever is possible now and returns whether to wait for an event of the base.
 * Call serve_waited after it, whether or not you waited. */
bool serve_works(struct serve *serve);
void serve_waited(struct serve *serve);

/* Reads its settings' secrets again (SIGHUP): logs which ones changed, or why none did. */
void serve_reload(struct serve *serve);

void serve_stop(struct serve *serve);

/* Publishes that it is offline, closes the connections, frees. NULL is fine. */
void serve_free(struct serve *serve);

#endif
