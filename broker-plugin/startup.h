/* The start: from Mosquitto's options to an open edge, and what is said of it on the log. The
 * broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_STARTUP_H
#define TALLY_BROKER_PLUGIN_STARTUP_H

#include "broker.h"
#include "edge.h"

#include <stddef.h>

/* Opens a zeroed edge, once the broker is seen to be such that the promise can be kept. 0, or -1
 * with a sentence in `error`, which is empty where all is said already. To be closed either way. */
int startup_open(struct edge *edge, const struct mosquitto_opt *options, int n, char *error,
                 size_t error_bytes);

/* Says that it is ready, and what of it an operator is to know. */
void startup_say_ready(const struct edge *edge);

#endif
