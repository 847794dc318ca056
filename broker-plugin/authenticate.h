/* Who may connect (INTERFACES.md 2.1 and 3). Depends on the broker. Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_AUTHENTICATE_H
#define TALLY_BROKER_PLUGIN_AUTHENTICATE_H

#include "plugin.h"

/* The answer to BASIC_AUTH, of MOSQ_ERR_*. It also comes for existing sessions while the broker
 * reloads: that begins and charges nothing. */
int authenticate_check(struct plugin *plugin, const struct mosquitto_evt_basic_auth *asked);

/* A connection has ended. Repeats are fine. */
void authenticate_end(struct plugin *plugin, const struct mosquitto *connection);

#endif
