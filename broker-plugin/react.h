/* A message on reactions/ (INTERFACES.md 2.1). Depends on the broker. Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_REACT_H
#define TALLY_BROKER_PLUGIN_REACT_H

#include "plugin.h"

#include <stdbool.h>

/* Judges the reaction, and answers with one of MOSQ_ERR_*. On success it is in the spool.
 * `article`: role_area's `rest`, perhaps invalid or NULL. `asked`: ACL_CHECK came first. It does
 * not for an outgoing bridge, which is never a reader. */
int react_to_message(struct plugin *plugin, struct client *client, const char *article, bool asked,
                     const struct mosquitto_evt_message *message);

/* Counts a reaction that was refused before admission judged it. `article` may be invalid or NULL.
 */
void react_count_forbidden(struct plugin *plugin, const char *article);

#endif
