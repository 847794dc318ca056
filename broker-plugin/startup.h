/* The start: from Mosquitto's options to an open edge, and what the log says about it. The broker's
 * one thread. */
#ifndef TALLY_BROKER_PLUGIN_STARTUP_H
#define TALLY_BROKER_PLUGIN_STARTUP_H

#include "broker.h"
#include "core/error.h"
#include "edge.h"

#include <stdbool.h>

/* Opens a zeroed edge, after checking that this broker allows Tally to keep its promise. 0, or -1
 * with a sentence in `error`, which is empty if everything has been logged. Close the edge either
 * way. */
int startup_open(struct edge *edge, const struct mosquitto_opt *options, int n,
                 struct error *error);

/* Logs that it is ready, and what an operator should know about it: also which broker runs it. */
void startup_say_ready(const struct edge *edge, bool mosquitto_2_1);

#endif
